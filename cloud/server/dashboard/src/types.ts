// Documents of the REST API, as far as the page reads them; /api/v1/openapi.yaml describes them.
export type Interval = { unique: number; low: number; high: number };
export type LineTotal = { name: string; in: number; out: number; net: number; not_judged: number };
export type ZoneTotal = { name: string; passed: number; most: number; not_judged: number };
export type Totals = { lines?: LineTotal[]; zones?: ZoneTotal[] };
export type Job = {
  id: string; footage: string; state: string; stage?: string; frames_done: number; frames_total: number; percent: number; fps: number;
  eta_seconds?: number; count: number; attempt: number; reason?: string; updated: string; seq: number;
};
export type PaddockCount = { name: string; animals: number | null; low: number | null; high: number | null; border: number; near: number; area_m2: number; seen: number };
export type Borders = { site: string; version: number; valid_from?: string; paddocks: number; created: string; who?: string; warnings?: string[] };
export type Count = Interval & Totals & { footage: string; by_class: Record<string, number>; paddocks?: PaddockCount[]; model: string; at: string; duplicate_of?: string; flight?: string; seq: number };
export type Footage = {
  id: string; site: string; device: string; name: string; size: number; sha256: string; captured?: string; received: string;
  duplicate_of?: string; sibling_of?: string; telemetry: boolean; flight_log?: { state: string; dialect?: string; why?: string };
  job?: Job; count?: Count; flight?: string; seq: number;
};
export type FlightPart = Interval & { footage: string; name: string; started?: string; duration_seconds: number };
export type Flight = Interval & Totals & {
  id: string; site: string; device: string; state: string; next?: string; by_class: Record<string, number>; parts: FlightPart[]; warnings: string[]; updated: string; seq: number;
};
export type Upload = { footage: string; site: string; device: string; kind: string; name: string; size: number; offset: number; gone?: boolean };
export type Waiting = { footage: string; site: string; device: string; name: string; captured?: string; received: string };
export type Page<T> = { items: T[]; next?: string };
export type Latest = Interval & { footage?: string; flight?: string; name: string; captured?: string; counted_at: string };
export type SiteToday = { site: string; latest?: Latest; previous?: Latest; change?: number; agrees?: boolean; flights: number; paddocks: PaddockToday[] };
export type PaddockToday = { paddock: string; latest?: Latest; seen: number; previous?: Latest; change?: number; agrees?: boolean; expected?: Expected };
export type Attention = {
  kind: string; severity: 'bad' | 'warn'; site?: string; device?: string; footage?: string; job?: string; flight?: string; text: string; since?: string; action?: string;
};
export type Overview = { at: string; sites: SiteToday[]; attention: Attention[] };
export type Vitals = Record<string, unknown>;
export type Station = {
  device: string; site: string; state: 'online' | 'offline' | 'silent' | 'never'; since?: string; last_seen?: string; version?: string; vitals?: Vitals; vitals_at?: string;
  waiting: number; waiting_bytes: number; footage: { footage: string; name?: string; state: string; size?: number; offset?: number; rate?: number; reason?: string }[]; warnings: { kind: string; text: string }[];
  history?: VitalsPoint[]; replies?: Reply[];
};
export type VitalsPoint = { at: string; disk_free: number; spool_percent: number; temperature_c?: number; clock_offset_seconds?: number; link_up: boolean };
export type Reply = { id: string; name: string; state: string; text: string; at?: string };
export type QueueJob = { job: string; footage: string; name: string; state: string; worker?: string; percent: number; fps: number; attempt: number; since: string; reason?: string; priority?: number; model?: ModelRef; no_model?: boolean };
export type QueueWorker = { worker: string; job?: string; since: string; model?: ModelRef };
export type ModelRef = { name: string; sha256: string };
export type ModelFigures = ModelRef & { pictures: number; animals: number; precision: number; recall: number; f1: number; count_error: number; false_a_picture: number };
export type ModelComparison = { old: ModelFigures; new: ModelFigures; verdict: string; reasons?: string[]; compared: string };
export type Model = ModelRef & { size: number; threshold: number; since: string; workers: number; loaded: number; own: number; caution?: string; fault?: string; comparison?: ModelComparison };
export type ModelChoice = { site?: string; model?: ModelRef; at: string; who?: string; before?: { model?: ModelRef } };
export type Models = { workers: number; models: Model[]; chosen: ModelChoice[]; history: ModelChoice[] };
export type ModelsCompared = { old: ModelRef; new: ModelRef; pictures?: ModelComparison; counts: { footage: string; name: string; old: Interval; new: Interval }[] };
export type Queue = { waiting: number; leased: number; oldest_waiting?: string; jobs: QueueJob[]; workers: QueueWorker[] };
export type HistoryItem = Interval & { at: string; site: string; footage?: string; flight?: string };
export type Track = {
  id: number; label: string; confidence: number; detections: number; segment: number; best: { frame: number; box: [number, number, number, number]; score: number };
  way: { frame: number; seconds: number; x: number; y: number; box?: [number, number, number, number] }[];
  position?: { latitude: number; longitude: number; radius_m: number };
};
export type NotCounted = { id: number; reason: string; of?: number; confidence: number; best: { frame: number } };
export type Result = {
  video: { width: number; height: number; fps: number; duration_seconds: number }; count: Interval & { method: string; other_animals?: Record<string, number> };
  visible: { second: number; animals: number }[]; tracks: Track[]; not_counted: NotCounted[]; warnings: { code: string; text: string }[];
};
export type Verdict = { verdict: 'accepted' | 'rejected' | 'added'; id?: number; class?: 'cattle' | 'other animal'; same_as?: number; seconds?: number; frame?: number; box?: [number, number, number, number] };
export type Review = { reviewer: string; updated: string; counted: string; current: boolean; unique: number; judged: number; tracks: number; rest?: string; animals: Verdict[] };
export type Reviews = Interval & { counted: string; reviews: Review[]; agreement?: { reviewers: [string, string]; same: number; tracks: number; differ: number[] } };
export type Expected = { animals: number; difference: number | null; verdict: 'agrees' | 'fewer' | 'more' | 'part_seen' | 'not_seen' };
export type SurveyHead = { id: string; site: string; from?: string; to?: string; created: string; who?: string };
export type Survey = SurveyHead & Interval & {
  placed: number; double: number; outside: number; expected?: Expected; paddocks: (PaddockCount & { expected?: Expected })[];
  parts: (Interval & { footage: string; captured?: string; flight?: string; placed: number; way?: string })[]; warnings: string[]; notes?: SurveyNote[];
};
export type SurveyNote = { code: string; count?: number; of?: number; animals?: number; names?: string[] };
export type Book = { site: string; expected: { paddock: string; animals: number | null; since: string }[] };
export type NotificationRule = {
  id: string; site: string; kinds: string[]; channel: string; target: string; language?: string; quiet?: { from: string; to: string; zone: string };
  paused?: boolean; who?: string; created: string; secret?: string;
};
export type NotificationRules = { items: NotificationRule[]; email: boolean; push_key?: string };
export type Notification = {
  id: string; rule: string; site: string; channel: string; target: string; state: 'waiting' | 'sent' | 'dead'; attempts: number; due?: string; created: string; ended?: string;
  fault?: string; message: { subject: string; text: string };
};
export type Share = { id: string; survey?: string; flight?: string; footage?: string; video?: boolean; who?: string; created: string; expires: string; revoked?: string; key?: string };
export type Person = {
  name: string; role: string; sites: string[]; created: string; last_seen?: string; disabled?: string; second_factor: boolean; provider?: string; code?: string; expires?: string;
};
export type Token = { name: string; role: string; sites: string[]; created: string; expires?: string; last_seen?: string; revoked?: string; token?: string };
export type AuditEntry = { n: number; at: string; who: string; action: string; subject: string };
