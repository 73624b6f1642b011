// How the page is bundled, for build.mjs and watch.mjs.
export const bundle = {
  entryPoints: {
    app: 'src/main.tsx', sw: 'src/sw.ts', style: 'src/style.css', 'map-worker': 'node_modules/maplibre-gl/dist/maplibre-gl-worker.mjs',
    map: 'node_modules/maplibre-gl/dist/maplibre-gl.css', chart: 'node_modules/uplot/dist/uPlot.min.css',
  },
  bundle: true,
  splitting: true,
  chunkNames: 'part-[name]-[hash]',
  format: 'esm',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  target: ['chrome109', 'firefox115', 'safari16'],
  legalComments: 'none',
  logLevel: 'warning',
};

// Files of src that are served as they are.
export const plain = ['index.html', 'icon.svg', 'app.webmanifest'];
