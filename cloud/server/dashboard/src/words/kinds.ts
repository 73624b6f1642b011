// What kinds of reports of the server mean, in languages other than the server's own.
import type { Settings } from '../settings';

const es: Record<string, string> = {
  // of a count, by the code of its warning
  'camera-lost': 'El recorrido de la cámara se perdió o se estimó en una parte de la grabación.',
  'no-telemetry': 'No hay posiciones en el terreno.',
  sparse: 'Se analizaron muy pocas imágenes.',
  'no-frame-rate': 'Las imágenes por segundo son supuestas.',
  damaged: 'Faltan partes de la grabación o están dañadas.',
  'time-jump': 'Las marcas de tiempo saltan.',
  'size-change': 'El tamaño de la imagen cambia.',
  'line-lost': 'Una línea o zona no se evaluó para todos los animales.',
  'no-evidence': 'Falta el vídeo anotado o una hoja; el conteo no cambia.',
  underexposed: 'La imagen es casi negra.',
  night: 'La imagen es oscura, como de noche.',
  overexposed: 'La imagen es casi blanca.',
  snow: 'El suelo es blanco, como con nieve.',
  fog: 'La imagen casi no tiene contraste.',
  thermal: 'La imagen muestra calor en lugar de luz.',
  gray: 'La imagen no tiene color.',
  blurred: 'La imagen está borrosa.',
  // of a station, by the kind of its warning
  clock: 'El reloj de la estación está mal.',
  disk: 'El disco de la estación está casi lleno.',
  spool: 'El almacén de la estación se está llenando.',
  temperature: 'La estación está demasiado caliente.',
  errors: 'La estación informa de un fallo.',
  // of what needs attention
  job_failed: 'Una grabación no se puede contar.',
  job_poisoned: 'Un conteo se abandonó tras demasiados intentos.',
  upload_stalled: 'Una subida se ha detenido.',
  log_unreadable: 'Un registro de vuelo no da posiciones.',
  no_worker: 'Ningún trabajador cuenta, pero hay trabajos en espera.',
  queue_old: 'Los trabajadores no dan abasto.',
  model_missing: 'Ningún trabajador tiene el modelo que esperan los trabajos.',
  station_silent: 'Una estación no envía mensajes; revise su alimentación y su enlace.',
  station_offline: 'Una estación lleva más de un día sin conexión; revise su alimentación y su enlace.',
  token_expired: 'El servidor rechaza una estación: su token ya no vale.',
  station_error: 'La estación informa de un fallo.',
  clock_wrong: 'El reloj de la estación está mal.',
  spool_filling: 'El almacén de la estación se está llenando.',
  disk_low: 'El disco del servidor está casi lleno.',
  certificate_ending: 'El certificado del servidor vence pronto.',
};

/** kindIn says in a language what a kind of report means; undefined where the server's own words, which are English, do. */
export const kindIn = (language: Settings['language'], kind: string): string | undefined => (language === 'es' ? es[kind] : undefined);
