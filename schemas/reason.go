package schemas

// Reasons of dead letters that more than one stage gives. A reason that only
// one stage can have stands beside that stage.
const (
	// ReasonSchema is a record whose schema does not belong in its topic.
	ReasonSchema = "schema"
	// ReasonDecode is a record of the right schema that cannot be read.
	ReasonDecode = "decode"
)
