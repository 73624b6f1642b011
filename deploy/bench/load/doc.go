// Package load has a benchmark and a test that run the real servers under load: several cloud-api on one PostgreSQL and
// one Azurite, mosquitto, worker processes with a fast stand-in for the detector, thousands of stations on MQTT, and
// uploads at the same time. `make load` measures, and `make soak` goes on for a chosen time while servers are killed,
// paused and cut off. Both end only when every byte and every count is accounted for: each sent file is in the ledger
// once with its digest and size, its blob has that content, and its count is the one that follows from the content.
//
// A soak of a minute or more that root runs has a farm beside them: one cloud-api with SQLite and footage on its disk, one
// worker, and one station with the real edge-agent that deletes confirmed files from its card. The disk of the cloud and
// the disk of the spool are small file systems, which are filled to the last byte. Programs that end are started again.
// A test of the farm alone, TestFarmWithFullDisks, takes one to two minutes without SOAK.
//
// The results are in deploy/docs/measured.md. Settings come from the environment:
//
//	LOAD_STATIONS  stations on MQTT                          (2000; soak: 100)
//	LOAD_UPLOADS   uploads at the same time                  (200; soak: 12)
//	LOAD_SIZE      bytes of an upload                        (2000000)
//	LOAD_CLOUDS    cloud-api processes                       (4; soak: 3)
//	LOAD_WORKERS   worker processes                          (8; soak: 3)
//	LOAD_PAUSE     ms between two clips of a sender          (soak: 1)
//	UPGRADE_FROM   tag or commit whose programs start first  (only TestUpgrade)
//	SOAK           how long the soak sends, such as 1h       (8s, as a test of the soak itself)
//
// A soak of a minute or more steps the clock of a cloud by up to ten minutes: cloud-api is then built with a package time
// that adds the error in a file to the time of day (go build -overlay). The clock of the machine stays as it is.
//
// The database of the test kit runs without fsync, so the figures say nothing about the disk under PostgreSQL.
package load
