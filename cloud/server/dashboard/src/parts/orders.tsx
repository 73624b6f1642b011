// Orders to a station. The answer of the station is shown, and the newest answers below it.
import { useState } from 'preact/hooks';
import { change } from '../api';
import * as f from '../format';
import type { Reply } from '../types';
import { t, type Key } from '../words';
import { Act, Select } from './basics';

const simple: [string, Key, Record<string, string>?][] = [['pause', 'cm_pause'], ['resume', 'cm_resume'], ['retry', 'cm_retry', { footage: 'all' }], ['rescan', 'cm_rescan'], ['fsck', 'cm_fsck']];
const rates: [string, Key | ''][] = [['configured', 'cm_configured'], ['none', 'cm_no_limit'], ['64KiB', ''], ['256KiB', ''], ['1MiB', ''], ['4MiB', '']];
const levels = ['debug', 'info', 'warn', 'error'];

/** order sends a command to a station and returns its answer in words. It fails with the reason of a refusal. */
export async function order(device: string, command: string, args?: Record<string, string>): Promise<string> {
  const r = await change<Reply>('POST', `/api/v1/stations/${encodeURIComponent(device)}/commands`, { command, args });
  const text = t('reply', { text: [r.state, r.text].filter(Boolean).join(': ') });
  if (r.state === 'refused') throw new Error(text);
  return text;
}

export function Orders({ device, replies, done }: { device: string; replies: Reply[]; done: () => void }) {
  const [reply, setReply] = useState('');
  const [rate, setRate] = useState('configured');
  const [level, setLevel] = useState('debug');
  const send = (command: string, args?: Record<string, string>) => async () => {
    setReply('');
    const text = await order(device, command, args);
    setReply(text);
    done();
    return text;
  };
  return (
    <div id="orders" class="stack">
      <div class="actions" aria-label={t('commands')} role="group">
        {simple.map(([command, key, args]) => <Act key={command} label={t(key)} act={send(command, args)} class="button small" data={{ 'data-command': command }} />)}
      </div>
      <div class="filters flush">
        <Select label={t('cm_limit')} value={rate} onChange={setRate} options={rates.map(([v, key]): [string, string] => [v, key ? t(key) : t('cm_rate', { rate: v })])} />
        <Act label={t('cm_limit_set')} act={send('limit', { rate })} data={{ 'data-command': 'limit' }} />
        <Select label={t('cm_log')} value={level} onChange={setLevel} options={levels.map((v): [string, string] => [v, v])} />
        <Act label={t('cm_log_set')} act={send('log', { level })} data={{ 'data-command': 'log' }} />
      </div>
      <p role="status" id="reply">{reply}</p>
      {replies.length > 0 && <details><summary>{t('cm_answers')}</summary><ul class="answers">{replies.map((r) => (
        <li key={r.id}><b>{r.name}</b> {r.state}{r.text && `: ${r.text}`} <span class="muted">{r.at && f.when(r.at)}</span></li>
      ))}</ul></details>}
    </div>
  );
}
