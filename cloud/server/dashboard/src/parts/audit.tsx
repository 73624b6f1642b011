// The audit log: who did what, newest first.
import { useState } from 'preact/hooks';
import { useRead } from '../data';
import * as f from '../format';
import type { AuditEntry, Page } from '../types';
import { t } from '../words';
import { Age, Card, Empty, Shown } from './basics';

const shown = 50;

export function Audit() {
  const [who, setWho] = useState('');
  const [after, setAfter] = useState<string[]>([]);
  const query = new URLSearchParams({ limit: String(shown) });
  if (who) query.set('who', who);
  const csv = `/api/v1/audit?${new URLSearchParams({ format: 'csv', limit: '1000', ...(who && { who }) })}`;
  if (after.length) query.set('after', after[after.length - 1]);
  const read = useRead<Page<AuditEntry>>(`/api/v1/audit?${query}`, { keep: false });
  const choose = (name: string) => { setWho(name); setAfter([]); };
  return (
    <Card id="audit" title={t('au_title')} aside={<Age at={read.at} />}>
      <div class="pad actions">
        {who && <button class="button small" type="button" onClick={() => choose('')}>{t('au_all', { who })}</button>}
        {after.length > 0 && <button class="button small" type="button" onClick={() => setAfter(after.slice(0, -1))}>{t('au_newer')}</button>}
        <a href={csv} download="audit.csv">{t('export_csv')}</a>
      </div>
      <Shown read={read}>{(d) => (d.items.length ? (
        <>
          <div class="scroll" tabIndex={0} role="group" aria-label={t('au_title')}><table>
            <thead><tr><th>{t('au_when')}</th><th>{t('au_who')}</th><th>{t('au_action')}</th><th>{t('au_subject')}</th></tr></thead>
            <tbody>{d.items.map((e) => <tr key={e.n}><td>{f.when(e.at)}</td>
              <td>{e.who ? <button class="link" type="button" onClick={() => choose(e.who)}>{e.who}</button> : '–'}</td><td>{e.action}</td><td>{e.subject}</td></tr>)}</tbody>
          </table></div>
          {d.next && <div class="more"><button class="button" type="button" onClick={() => setAfter([...after, d.next!])}>{t('show_older')}</button></div>}
        </>) : <Empty title={t('au_none')} />)}</Shown>
    </Card>
  );
}
