package notify

import (
	"fmt"
	"strconv"
	"strings"

	"cattlecounter/shared/wire"
)

// words are the texts of messages in one language.
type words struct {
	titles map[wire.NotificationKind]string
	causes map[wire.AttentionKind]string // {device} is the station; nil: the detail alone
	detail bool                          // the detail, which is in English, stands behind the text of a cause

	count, part, whole, offBook, offSite string
	more, footer, allSites               string
	test, testText                       string
}

// Languages returns the languages of messages.
func Languages() []string { return []string{"en", "es"} }

func wordsOf(language string) *words {
	if language == "es" {
		return spanish
	}
	return english
}

// text says in one line what happened.
func (w *words) text(e event) string {
	switch {
	case e.Kind == wire.NotifyCountOffBook && e.Paddock == "":
		return w.fill(w.offSite, e)
	case e.Kind == wire.NotifyCountOffBook:
		return w.fill(w.offBook, e)
	case e.Count != nil && e.Whole != nil:
		return w.fill(w.part, e)
	case e.Count != nil:
		return w.fill(w.count, e)
	case w.causes == nil:
		return e.Detail
	}
	s := w.fill(w.causes[e.Cause], e)
	if w.detail && e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	return s
}

func (w *words) fill(text string, e event) string {
	values := []string{"{device}", e.Device, "{site}", e.Site, "{name}", e.Name, "{paddock}", e.Paddock}
	for name, c := range map[string]*wire.Interval{"count": e.Count, "whole": e.Whole} {
		if c != nil {
			values = append(values, "{"+name+"}", fmt.Sprintf(w.whole, c.Unique, c.Low, c.High))
		}
	}
	if e.Book != nil {
		values = append(values, "{book}", strconv.Itoa(*e.Book))
	}
	return strings.NewReplacer(values...).Replace(text)
}

var english = &words{
	titles: map[wire.NotificationKind]string{
		wire.NotifyStationSilent: "Station silent", wire.NotifyStationFault: "Station reports a fault",
		wire.NotifyDiskFull: "Disk nearly full", wire.NotifyUploadStuck: "Upload stuck",
		wire.NotifyFootageFailed: "Footage not counted", wire.NotifyCountingLate: "Counting is late",
		wire.NotifyCountReady: "Count ready", wire.NotifyCountOffBook: "Count differs from the book",
		wire.NotifyCertificateEnd: "Certificate ends",
	},
	count: "{site}, {name}: {count}", part: "{site}, {name}: {count}; the whole flight: {whole}",
	whole:    "%d animals (%d to %d)",
	offBook:  "{site}, paddock {paddock}: {count}, the book has {book}; footage {name}",
	offSite:  "{site}: {count}, the book has {book} for the whole site; footage {name}",
	more:     "and %d more",
	footer:   "To change these messages, open",
	allSites: "all sites",
	test:     "test message",
	testText: "This is a test. Messages of this rule arrive here.",
}

var spanish = &words{
	titles: map[wire.NotificationKind]string{
		wire.NotifyStationSilent: "Estación sin señal", wire.NotifyStationFault: "La estación informa de un fallo",
		wire.NotifyDiskFull: "Disco casi lleno", wire.NotifyUploadStuck: "Subida detenida",
		wire.NotifyFootageFailed: "Grabación sin conteo", wire.NotifyCountingLate: "El conteo se retrasa",
		wire.NotifyCountReady: "Conteo listo", wire.NotifyCountOffBook: "El conteo difiere del libro",
		wire.NotifyCertificateEnd: "El certificado vence",
	},
	causes: map[wire.AttentionKind]string{
		wire.AttentionJobFailed:      "una grabación de {device} no se pudo contar",
		wire.AttentionJobPoisoned:    "el conteo de una grabación de {device} se abandonó tras varios intentos",
		wire.AttentionUploadStalled:  "una subida de {device} se detuvo; revise su enlace",
		wire.AttentionNoWorker:       "hay trabajos en espera y ningún proceso cuenta; inicie uno o mire su registro",
		wire.AttentionQueueOld:       "los procesos no dan abasto; agregue uno",
		wire.AttentionModelMissing:   "hay trabajos en espera de un modelo que ningún proceso tiene; instálelo o elija otro",
		wire.AttentionStationSilent:  "la estación {device} no envía mensajes; revise su energía y su enlace",
		wire.AttentionStationGone:    "la estación {device} lleva más de un día sin conexión; revise su energía y su enlace",
		wire.AttentionTokenExpired:   "la nube rechaza la credencial de la estación {device}; regístrela otra vez con un código",
		wire.AttentionStationFault:   "la estación {device} informa de un fallo",
		wire.AttentionClockWrong:     "el reloj de la estación {device} está mal",
		wire.AttentionSpoolFilling:   "la estación {device} se queda sin espacio",
		wire.AttentionServerDiskFull: "el disco del servidor está casi lleno",
		wire.AttentionCertificateEnd: "un certificado del servidor vence pronto o no se puede renovar",
	},
	detail: true,
	count:  "{site}, {name}: {count}", part: "{site}, {name}: {count}; todo el vuelo: {whole}",
	whole:    "%d animales (%d a %d)",
	offBook:  "{site}, potrero {paddock}: {count}, el libro tiene {book}; grabación {name}",
	offSite:  "{site}: {count}, el libro tiene {book} para todo el sitio; grabación {name}",
	more:     "y %d más",
	footer:   "Para cambiar de qué se le avisa, abra",
	allSites: "todos los sitios",
	test:     "mensaje de prueba",
	testText: "Esto es una prueba. Los mensajes de esta regla llegan aquí.",
}
