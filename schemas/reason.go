package schemas

// Reasons of dead letters that more than one stage gives. A reason that only
// one stage can have is declared in that stage.
const (
	// ReasonSchema is a record whose schema does not belong in its topic.
	ReasonSchema = "schema"
	// ReasonDecode is a record of the right schema that cannot be read.
	ReasonDecode = "decode"
	// ReasonKey is a record under another key than its value prescribes.
	ReasonKey = "key"
	// ReasonPartition is a record whose key belongs in another partition.
	ReasonPartition = "partition"
)
