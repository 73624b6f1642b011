// Bundles the page into dist, which the Go program embeds.
import { build } from 'esbuild';
import { cp, mkdir } from 'node:fs/promises';
import { bundle, plain } from './bundle.mjs';

await mkdir('dist', { recursive: true });
await build({ ...bundle, outdir: 'dist', minify: true });
for (const name of plain) await cp(`src/${name}`, `dist/${name}`);
