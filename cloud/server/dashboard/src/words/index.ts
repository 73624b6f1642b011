// Words in the chosen language.
import { settings } from '../settings';
import { en, type Key } from './en';
export type { Key } from './en';
import { es } from './es';

type Values = Record<string, string | number>;

/** t returns the words of a key with its values filled in. */
export function t(key: Key, values: Values = {}): string {
  const words = settings.language === 'es' ? es : en;
  return words[key].replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

type Counted = Key extends infer K ? (K extends `${infer B}_one` ? B : never) : never;

/** many returns the words for n things. */
export function many(key: Counted, n: number, values: Values = {}): string {
  return t(`${key}_${n === 1 ? 'one' : 'other'}` as Key, { n: new Intl.NumberFormat(settings.language).format(n), ...values });
}
