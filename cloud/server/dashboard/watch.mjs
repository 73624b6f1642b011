// Serves the page from src, rebuilt on every change, in front of a running cloud-api: `make page-watch`.
// Arguments: the address of cloud-api, the port of this server. The browser reloads the page by itself.
import { context } from 'esbuild';
import { createServer, request } from 'node:http';
import { request as secureRequest } from 'node:https';
import { bundle, plain } from './bundle.mjs';

const [, , api, port] = process.argv;
// Every part begins with it; one connection is enough.
const reload = "if (globalThis.document && !globalThis.watching) (globalThis.watching = new EventSource('/esbuild')).addEventListener('change', () => location.reload());";
const build = await context({ ...bundle, outdir: 'src', write: false, sourcemap: 'inline', logLevel: 'info', banner: { js: reload } });
await build.watch();
const page = await build.serve({ host: '127.0.0.1', port: 0, servedir: 'src' });
const files = new RegExp(`^/(esbuild|${[...Object.keys(bundle.entryPoints)].join('|')}|part-[^/]*|${plain.join('|')})(\\.js|\\.css)?$`);
const views = /^\/(flights|flight|footage|map|history|stations|queue|paddocks|surveys|settings|programs)?(\/|$)/;

// forward passes a request on and streams the answer back, so that uploads and server-sent events work.
function forward(incoming, answer, target) {
  const send = target.protocol === 'https:' ? secureRequest : request;
  const onward = send(new URL(incoming.url, target), { method: incoming.method, headers: { ...incoming.headers, host: target.host } }, (reply) => {
    answer.writeHead(reply.statusCode, reply.headers);
    reply.pipe(answer);
  });
  onward.on('error', (err) => {
    if (!answer.headersSent) answer.writeHead(502, { 'Content-Type': 'text/plain' });
    answer.end(`${target.origin} does not answer: ${err.message}\n`);
  });
  answer.on('close', () => onward.destroy());
  incoming.pipe(onward);
}

const esbuild = new URL(`http://127.0.0.1:${page.port}`);
const cloud = new URL(api);
createServer((incoming, answer) => {
  const { pathname } = new URL(incoming.url, cloud);
  if (views.test(pathname)) incoming.url = '/';
  forward(incoming, answer, incoming.url === '/' || files.test(pathname) ? esbuild : cloud);
}).listen(Number(port), '127.0.0.1', () => console.log(`page at http://127.0.0.1:${port}/, API of ${cloud.origin}; Ctrl-C ends it`));
