package report

import (
	"strconv"
	"strings"

	"cattlecounter/shared/wire"
)

// word is a text of the report in every language.
type word int

const (
	wTitle word = iota
	wSurvey
	wFlight
	wFootage
	wBetween
	wRecorded
	wMadeBy
	wAnimals
	wInterval
	wPlaced
	wBook
	wDifference
	wZone
	wPaddock
	wCount
	wRange
	wSeen
	wArea
	wExpected
	wVerdict
	wWhole
	wMore
	wMap
	wMapText
	wMapNone
	wMetres
	wSheet
	wSheetNone
	wSample
	wSampleText
	wSampleNone
	wReviews
	wReview
	wMethod
	wMethodText
	wModel
	wDigests
	wDigestsText
	wFile
	wFileDigest
	wResultDigest
	wOthers
	wVerify
	wVerifyText
	wMissing
	wForeign
	wSign
	wName
	wDate
	wPage
	wFooter
	wNotes
)

var words = map[Lang]map[word]string{
	English: {
		wTitle: "Cattle count report", wSurvey: "Survey", wFlight: "Flight", wFootage: "Footage",
		wBetween: "Recorded from %s until before %s", wRecorded: "Recorded %s", wMadeBy: "selected by %s",
		wAnimals: "animals", wInterval: "95 %% interval: %s to %s",
		wPlaced: "%s of %s animals have a position. %s were seen again by another flight and count once. %s stood in no paddock.",
		wBook:   "By the book: %s animals; the count: %s", wDifference: "Counted minus book: %s.", wZone: "All times are in the zone %s.",
		wPaddock: "Paddock", wCount: "Counted", wRange: "95 % interval", wSeen: "Seen", wArea: "Hectares", wExpected: "Book",
		wVerdict: "Against the book", wWhole: "Whole site", wMore: "%s more paddocks are in the JSON form of this report.",
		wMap: "Map", wMapText: "Borders: paddocks, numbered as in the table. Gray: ground that was seen. Blue: flown paths. " +
			"Red: counted animals. North is up.", wMapNone: "No positions are known, so there is no map.", wMetres: "%s m",
		wSheet: "Count sheet: the flown ground, each counted animal marked once", wSheetNone: "No count sheet is stored.",
		wSample: "Sample for a recount",
		wSampleText: "%s animals, drawn at random by the digests of the results, so no person chose them. Tick 1 for one animal of " +
			"cattle, 0 for none, 2 for more. Of many counts, the share of zeros and twos is the error rate.",
		wSampleNone: "No pictures of single animals are stored.",
		wReviews:    "Reviewed by people", wReview: "%s on %s: %s animals where the program counted %s (%s of %s looked at)",
		wMethod: "Method",
		wMethodText: "A drone filmed the ground from above. A neural network searched the pictures for cattle, and the program followed " +
			"each animal over the ground, so that an animal that is seen several times counts once. The interval is made to " +
			"contain the true number of animals in view in 95 of 100 counts. Animals under trees or roofs, and outside of the seen " +
			"ground, are not counted: “Seen” is the share of a paddock that was filmed. Animals close to a border may belong " +
			"to either side, which the intervals of the paddocks contain.",
		wModel: "Model: %s, used for %s counts", wDigests: "Digests (SHA-256)",
		wDigestsText: "The recordings and result documents that this report is made of:", wFile: "Recording",
		wFileDigest: "of the recording", wResultDigest: "of the result document",
		wOthers: "%s more recordings are in the JSON form of this report.",
		wVerify: "How to verify",
		wVerifyText: "1. The command “sha256sum FILE” prints the digest of a file; it must be the one above. 2. report.json " +
			"has every figure and digest; its own digest is at the foot of each page. It is at the same address as this PDF, with " +
			"report.json at the end. When counts, paddocks or the book change later, it changes too.",
		wMissing: "Not shown, because it is not stored or cannot be read: %s.",
		wForeign: "* This name has characters that the fonts of the report lack; they are written in Latin letters.",
		wSign:    "Signature", wName: "Name", wDate: "Date", wPage: "Page %d of %s",
		wFooter: "CattleCounter · report of %s · figures as of %s", wNotes: "What to know",
	},
	Spanish: {
		wTitle: "Informe de conteo de ganado", wSurvey: "Censo", wFlight: "Vuelo", wFootage: "Grabación",
		wBetween: "Grabado desde %s hasta antes de %s", wRecorded: "Grabado el %s", wMadeBy: "elegido por %s",
		wAnimals: "animales", wInterval: "Intervalo del 95 %%: de %s a %s",
		wPlaced: "%s de %s animales tienen posición. Otro vuelo volvió a ver %s, que cuentan una vez. %s estaban fuera de los potreros.",
		wBook:   "Según el libro: %s animales; el conteo: %s", wDifference: "Contados menos libro: %s.",
		wZone:    "Todas las horas son de la zona %s.",
		wPaddock: "Potrero", wCount: "Contados", wRange: "Intervalo 95 %", wSeen: "Visto", wArea: "Hectáreas", wExpected: "Libro",
		wVerdict: "Frente al libro", wWhole: "Todo el sitio", wMore: "Hay %s potreros más en la forma JSON de este informe.",
		wMap: "Mapa", wMapText: "Bordes: potreros, numerados como en la tabla. Gris: terreno visto. Azul: trayectos volados. " +
			"Rojo: animales contados. El norte está arriba.", wMapNone: "No se conocen posiciones, así que no hay mapa.",
		wMetres: "%s m",
		wSheet:  "Hoja de conteo: el terreno volado, cada animal contado marcado una vez", wSheetNone: "No hay hoja de conteo.",
		wSample: "Muestra para volver a contar",
		wSampleText: "%s animales, sorteados por los resúmenes de los resultados: no los eligió ninguna persona. Marque 1 si hay una " +
			"res, 0 si no hay ninguna, 2 si hay más. En muchos conteos, la parte de ceros y doses es la tasa de error.",
		wSampleNone: "No hay imágenes de animales sueltos.",
		wReviews:    "Revisado por personas", wReview: "%s el %s: %s animales donde el programa contó %s (miró %s de %s)",
		wMethod: "Método",
		wMethodText: "Un dron filmó el terreno desde arriba. Una red neuronal buscó ganado en las imágenes, y el programa siguió a " +
			"cada animal sobre el terreno, de modo que un animal visto varias veces cuenta una vez. El intervalo está hecho para " +
			"contener el número verdadero de animales a la vista en 95 de 100 conteos. No se cuentan los animales bajo árboles o " +
			"techos ni los que están fuera del terreno visto: «Visto» es la parte del potrero que se filmó. Los animales cerca de un " +
			"borde pueden ser de un lado o del otro, y los intervalos de los potreros lo incluyen.",
		wModel: "Modelo: %s, usado en %s conteos", wDigests: "Resúmenes (SHA-256)",
		wDigestsText: "Las grabaciones y los documentos de resultados de los que está hecho este informe:", wFile: "Grabación",
		wFileDigest: "de la grabación", wResultDigest: "del documento de resultados",
		wOthers: "Hay %s grabaciones más en la forma JSON de este informe.",
		wVerify: "Cómo verificar",
		wVerifyText: "1. La orden «sha256sum ARCHIVO» escribe el resumen de un archivo; debe ser el de arriba. 2. report.json tiene " +
			"todas las cifras y resúmenes; su propio resumen está al pie de cada página. Está en la misma dirección que este PDF, con " +
			"report.json al final. Si los conteos, los potreros o el libro cambian después, cambia también.",
		wMissing: "No se muestra, porque no está guardado o no se puede leer: %s.",
		wForeign: "* Este nombre tiene caracteres que las letras del informe no tienen; están escritos en letras latinas.",
		wSign:    "Firma", wName: "Nombre", wDate: "Fecha", wPage: "Página %d de %s",
		wFooter: "CattleCounter · informe de %s · cifras del %s", wNotes: "Qué hay que saber",
	},
}

// verdicts are what a count says about the book.
var verdicts = map[Lang]map[string]string{
	English: {"agrees": "agrees", "fewer": "fewer than the book", "more": "more than the book", "part_seen": "only part was seen",
		"not_seen": "not seen"},
	Spanish: {"agrees": "coincide", "fewer": "menos que el libro", "more": "más que el libro", "part_seen": "visto solo en parte",
		"not_seen": "no visto"},
}

// missing names evidence that the report lacks.
var missing = map[Lang]map[string]string{
	English: {"result": "result document", "sheet": "count sheet", "pictures": "pictures of animals", "path": "flown path"},
	Spanish: {"result": "documento de resultados", "sheet": "hoja de conteo", "pictures": "imágenes de animales",
		"path": "trayecto volado"},
}

// notes are the notes of a survey as sentences. The figures stand for {count}, {of}, {animals} and {names}.
var notes = map[Lang]map[string]string{
	English: {
		wire.NoteNoCounts:  "The survey has no count.",
		wire.NoteNoPaddock: "The site has no paddocks.",
		wire.NoteUnplaced:  "{count} of {of} recordings have no positions; their {animals} animals are in no paddock, and may be counted twice.",
		wire.NoteUntimed:   "The time of {count} recordings is not known; their animals may be counted twice.",
		wire.NotePartSeen:  "Not wholly seen: {names}.",
		wire.NoteSeenAgain: "{animals} animals stood on ground that a later flight saw again; the later flight counts.",
		wire.NoteUnknown:   "The book has paddocks that the site does not have: {names}.",
	},
	Spanish: {
		wire.NoteNoCounts:  "El censo no tiene conteos.",
		wire.NoteNoPaddock: "El sitio no tiene potreros.",
		wire.NoteUnplaced:  "{count} de {of} grabaciones no tienen posiciones; sus {animals} animales no están en ningún potrero y pueden contar dos veces.",
		wire.NoteUntimed:   "No se sabe la hora de {count} grabaciones; sus animales pueden contar dos veces.",
		wire.NotePartSeen:  "No vistos del todo: {names}.",
		wire.NoteSeenAgain: "{animals} animales estaban en terreno que un vuelo posterior volvió a ver; vale el vuelo posterior.",
		wire.NoteUnknown:   "El libro tiene potreros que el sitio no tiene: {names}.",
	},
}

// number writes a number with the separators of the language.
func (d *drawing) number(n int) string {
	text := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, text = "–", text[1:]
	}
	separator := ","
	if d.in.Lang == Spanish {
		separator = "."
	}
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + separator + text[i:]
	}
	return sign + text
}

// signed writes a difference.
func (d *drawing) signed(n int) string {
	if n > 0 {
		return "+" + d.number(n)
	}
	return d.number(n)
}

// decimal writes a number with one digit after the point of the language.
func (d *drawing) decimal(x float64) string {
	text := strconv.FormatFloat(x, 'f', 1, 64)
	if d.in.Lang == Spanish {
		return strings.Replace(text, ".", ",", 1)
	}
	return text
}
