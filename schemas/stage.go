package schemas

// Stages, as Progress, dead letters and metrics name them.
const (
	StageIngest  = "ingest"
	StageMessage = "message"
	StageRollup  = "rollup"
	StageAlert   = "alert"
	StageSink    = "sink"
)
