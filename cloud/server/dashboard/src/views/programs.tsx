// Programs: every request of the REST API, read from the server's own description. It works without the internet.
import { useState } from 'preact/hooks';
import { useRead } from '../data';
import { Card, Shown } from '../parts/basics';
import { t } from '../words';

type Parameter = { name?: string; in?: string; required?: boolean; description?: string; $ref?: string };
type Operation = { summary?: string; description?: string; tags?: string[]; parameters?: Parameter[]; responses?: Record<string, { description?: string; $ref?: string }> };
type Doc = { info: { title: string; version: string; description?: string }; paths: Record<string, Record<string, Operation>>; components?: { parameters?: Record<string, Parameter>; responses?: Record<string, { description?: string }> } };
const methods = ['get', 'post', 'put', 'patch', 'delete', 'head', 'options'];

export default function Programs() {
  const read = useRead<Doc>('/api/v1/openapi.json', { keep: false });
  const [word, setWord] = useState('');
  return (
    <Card id="programs" title={t('api_title')}>
      <p class="pad muted">{t('api_help')}</p>
      <div class="filters"><label class="field">{t('api_filter')}<input type="search" value={word} onInput={(e) => setWord((e.target as HTMLInputElement).value)} /></label></div>
      <Shown read={read}>{(d) => <ul class="routes">{routes(d).filter((r) => `${r.method} ${r.path} ${r.op.summary}`.toLowerCase().includes(word.toLowerCase())).map((r) => <Route key={r.method + r.path} {...r} doc={d} />)}</ul>}</Shown>
    </Card>
  );
}

function routes(d: Doc) {
  return Object.entries(d.paths).flatMap(([path, ops]) => methods.filter((m) => ops[m]).map((method) => ({ method, path, op: ops[method] })));
}

const last = (ref: string) => ref.split('/').pop()!;

function Route({ method, path, op, doc }: { method: string; path: string; op: Operation; doc: Doc }) {
  const parameters = (op.parameters ?? []).map((p) => (p.$ref ? doc.components?.parameters?.[last(p.$ref)] ?? p : p));
  const answers = Object.entries(op.responses ?? {}).map(([code, r]) => [code, (r.$ref ? doc.components?.responses?.[last(r.$ref)] : r)?.description ?? '']);
  return (
    <li><details>
      <summary><span class={`method ${method}`}>{method.toUpperCase()}</span> <code>{path}</code> <span class="muted">{op.summary}</span></summary>
      {op.description && <p>{op.description}</p>}
      {parameters.length > 0 && <><h4>{t('parameters')}</h4><dl class="facts">{parameters.flatMap((p) => [<dt key={`${p.name}-t`}><code>{p.name}</code>{p.required ? ' *' : ''}</dt>, <dd key={p.name}>{p.description ?? p.in}</dd>])}</dl></>}
      <h4>{t('answers')}</h4><dl class="facts">{answers.flatMap(([code, text]) => [<dt key={`${code}-t`}>{code}</dt>, <dd key={code}>{text}</dd>])}</dl>
    </details></li>
  );
}
