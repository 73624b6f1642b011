// Bundles the page into dist, which the Go program embeds: each file as it is, and compressed where that is smaller.
import { build } from 'esbuild';
import { readdir, readFile, rm, mkdir, cp, writeFile } from 'node:fs/promises';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { bundle, plain } from './bundle.mjs';

await mkdir('dist', { recursive: true });
for (const name of await readdir('dist')) if (name !== '.gitkeep') await rm(`dist/${name}`, { recursive: true });
const { metafile } = await build({ ...bundle, outdir: 'dist', minify: true, metafile: true });
for (const name of plain) await cp(`src/${name}`, `dist/${name}`);
// The browser fetches the parts that app.js begins with at the same time as app.js, not after it.
const parts = metafile.outputs['dist/app.js'].imports.filter((i) => i.kind === 'import-statement').map((i) => i.path.slice('dist/'.length));
const preload = '<link rel="modulepreload" href="/app.js">';
const html = await readFile('dist/index.html', 'utf8');
if (!html.includes(preload)) throw new Error(`src/index.html lacks ${preload}`);
await writeFile('dist/index.html', html.replace(preload, [preload, ...parts.map((p) => `<link rel="modulepreload" href="/${p}">`)].join('\n  ')));
for (const name of await readdir('dist')) {
  if (!/\.(js|css|html|svg|webmanifest)$/.test(name)) continue;
  const text = await readFile(`dist/${name}`);
  const best = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: text.length };
  for (const [ending, bytes] of [['gz', gzipSync(text, { level: 9 })], ['br', brotliCompressSync(text, { params: best })]]) {
    if (bytes.length < text.length * 0.9) await writeFile(`dist/${name}.${ending}`, bytes);
  }
}
