// How the page is bundled, for build.mjs and watch.mjs.
export const bundle = {
  entryPoints: { app: 'src/main.js', style: 'src/style.css' },
  bundle: true,
  format: 'esm',
  target: ['chrome109', 'firefox115', 'safari16'],
  legalComments: 'none',
  logLevel: 'warning',
};

// Files of src that are served as they are.
export const plain = ['index.html', 'icon.svg'];
