package web

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"cattlecounter/shared/boundary"
	"cattlecounter/shared/topic"
	"cattlecounter/shared/wire"
)

// The schemas of openapi.yaml have the fields of the types that travel.
func TestOpenAPIDescribesTheWireTypes(t *testing.T) {
	doc := loadOpenAPI(t)
	for name, v := range map[string]any{
		"Footage": wire.Footage{}, "Job": wire.Job{}, "Attempt": wire.Attempt{}, "Count": wire.Count{},
		"Device": wire.Device{}, "Upload": wire.Upload{}, "Waiting": wire.Waiting{}, "Stats": wire.Stats{},
		"Health": wire.Health{}, "Problem": wire.Problem{},
		"FootagePage": wire.Page[wire.Footage]{}, "Flight": wire.Flight{}, "FlightPart": wire.FlightPart{},
		"Lines": wire.Lines{}, "LineTotal": boundary.LineTotal{}, "ZoneTotal": boundary.ZoneTotal{},
		"Overview": wire.Overview{}, "SiteOverview": wire.SiteOverview{}, "PaddockOverview": wire.PaddockOverview{}, "SiteCount": wire.SiteCount{},
		"Attention": wire.Attention{}, "HistoryPoint": wire.HistoryPoint{}, "HistoryPage": wire.Page[wire.HistoryPoint]{},
		"ModelRef": wire.ModelRef{}, "Model": wire.Model{}, "ModelComparison": wire.ModelComparison{}, "ModelFigures": wire.ModelFigures{},
		"ModelChoice": wire.ModelChoice{}, "EarlierModel": wire.EarlierModel{}, "Models": wire.Models{}, "ComparedCount": wire.ComparedCount{}, "ModelsCompared": wire.ModelsCompared{},
		"Queue": wire.Queue{}, "QueueJob": wire.QueueJob{}, "QueueWorker": wire.QueueWorker{},
		"Station": wire.Station{}, "StationDetail": wire.StationDetail{}, "StationWarning": wire.StationWarning{},
		"StationReply": wire.StationReply{}, "VitalsPoint": wire.VitalsPoint{}, "Vitals": topic.Vitals{},
		"StationFootage": topic.Footage{}, "StationPage": wire.Page[wire.Station]{},
		"NotificationRules": wire.NotificationRules{}, "Notification": wire.Notification{}, "NotificationEvent": wire.NotificationEvent{},
		"NotificationMessage": wire.NotificationMessage{}, "QuietHours": wire.QuietHours{}, "Share": wire.Share{}, "SharedSurvey": wire.SharedSurvey{}, "Interval": wire.Interval{},
		"Line": boundary.Line{}, "Zone": boundary.Zone{},
		"Report": wire.Report{}, "ReportModel": wire.ReportModel{}, "ReportSource": wire.ReportSource{}, "ReportAnimal": wire.ReportAnimal{},
		"ReportReview": wire.ReportReview{}, "ReportMissing": wire.ReportMissing{}, "SurveyNote": wire.SurveyNote{}, "Survey": wire.Survey{},
		"Person": wire.Person{}, "PersonData": wire.PersonData{}, "SessionData": wire.SessionData{}, "Token": wire.Token{}, "RemovedPerson": wire.RemovedPerson{},
		"EnrolmentCode": wire.EnrolmentCode{}, "Enrolment": wire.Enrolment{},
	} {
		ref := doc.Components.Schemas[name]
		if ref == nil {
			t.Errorf("openapi.yaml has no schema %s", name)
			continue
		}
		var fields, required []string
		for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
			tag, ok := f.Tag.Lookup("json")
			if !ok {
				continue
			}
			field, opts, _ := strings.Cut(tag, ",")
			fields = append(fields, field)
			if !strings.Contains(opts, "omitempty") {
				required = append(required, field)
			}
		}
		slices.Sort(fields)
		slices.Sort(required)
		if got := slices.Sorted(maps.Keys(ref.Value.Properties)); !slices.Equal(got, fields) {
			t.Errorf("%s: the schema has %v, the type %v", name, got, fields)
		}
		if got := slices.Sorted(slices.Values(ref.Value.Required)); !slices.Equal(got, required) {
			t.Errorf("%s: the schema requires %v, the type %v", name, got, required)
		}
	}
}

func TestOpenAPIListsTheProblems(t *testing.T) {
	text := loadOpenAPI(t).Components.Schemas["Problem"].Value.Properties["type"].Value.Description
	for _, s := range wire.Slugs() {
		if !strings.Contains(text, string(s)) {
			t.Errorf("openapi.yaml does not name the problem %s", s)
		}
	}
}
