// The picture of one counted animal, cut out of the contact sheet. The sizes are those of cloud/count/evidence.
const cell = { width: 192, picture: 176, height: 196, title: 34, columns: 8, page: 80 };
const small = 64; // pixels

export function Crop({ base, index, label, large }: { base: string; index: number; label: string; large?: boolean }) {
  const page = Math.floor(index / cell.page) + 1;
  const on = index % cell.page;
  const share = large ? 1 : small / cell.picture;
  const x = -((on % cell.columns) * cell.width + (cell.width - cell.picture) / 2) * share;
  const y = -(cell.title + Math.floor(on / cell.columns) * cell.height) * share;
  return <span class={large ? 'crop large' : 'crop'} role="img" aria-label={label} style={`background-image:url("${base}/contact/${page}");background-position:${x}px ${y}px;background-size:${cell.width * cell.columns * share}px auto`} />;
}
