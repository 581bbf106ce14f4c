package schemas

// Stages, as Progress, dead letters and metrics name them.
const (
	StageIngest  = "ingest"
	StageMessage = "message"
	StageRollup  = "rollup"
	StageAlert   = "alert"
	StageSink    = "sink"
	// StageLog is not a stage: progress under "log/<topic>" says where the log of
	// a topic ended.
	StageLog = "log"
)
