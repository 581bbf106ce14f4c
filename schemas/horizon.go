package schemas

import "time"

// HorizonDays is the longest delay, in days, that an outcome may have and
// still count: the last edge of the histogram. A change is a new epoch.
const HorizonDays = 30

// HorizonSeconds is HorizonDays in seconds.
const HorizonSeconds = HorizonDays * 24 * 3600

// MaxEventAgeDays is the greatest age, in days, of an event that ingest
// accepts: providers retry for up to 7 days. What is older could meet a message
// that is already forgotten and would count it twice, see RememberDays.
const MaxEventAgeDays = 10

// MaxEventAge is MaxEventAgeDays as a duration: the default and the greatest
// max_event_age of a source.
const MaxEventAge = MaxEventAgeDays * 24 * time.Hour

// spareDays is how long an event may lie in Kafka, beyond its age, before it
// is folded: room for delays of our own.
const spareDays = 10

// RememberDays is how long the message fold remembers a message after its home
// day, so that whatever can still count meets it.
const RememberDays = HorizonDays + MaxEventAgeDays + spareDays

// MemoryDays is how long the message fold certainly remembers a message after
// the later of its first event and its send time: RememberDays less one, because
// the fold forgets by whole days of its own clock.
const MemoryDays = RememberDays - 1
