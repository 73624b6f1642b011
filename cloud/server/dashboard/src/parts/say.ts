/** say announces a text to screen readers. */
export function say(text: string): void {
  const el = document.getElementById('say');
  if (el) el.textContent = text;
}
