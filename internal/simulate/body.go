package simulate

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
)

const (
	// Account is the WABA id of the simulated account.
	Account = "310000000000017"
	// maxUpdates is Meta's limit for one body.
	maxUpdates = 1000
)

// sender is one of the account's phone numbers.
type sender struct{ id, display string }

func senders() [2]sender {
	return [2]sender{{"410000000000021", "31850000021"}, {"410000000000022", "31850000022"}}
}

// country of a contact with the shape of its mobile numbers.
type country struct {
	code, prefix string
	digits       int
}

func countries() []country {
	return []country{{"NL", "316", 8}, {"NL", "316", 8}, {"DE", "49151", 8}, {"BR", "55119", 8}, {"IN", "919", 9}}
}

func segments() []string { return []string{"new", "loyal", "dormant"} }

// person is the recipient of a message.
type person struct {
	phone, userID string
	segment       string
	name          string
}

func (p *plan) person(m message) person {
	r := p.random(m.index, 3)
	c := countries()[r.IntN(len(countries()))]
	number := r.Int64N(pow10(c.digits))
	who := person{
		phone:   c.prefix + fmt.Sprintf("%0*d", c.digits, number),
		segment: segments()[r.IntN(len(segments()))],
		name:    "Person " + strconv.Itoa(m.index),
	}
	if r.Float64() < 0.1 {
		who.userID = fmt.Sprintf("%s.%018d", c.code, r.Int64N(pow10(18)))
	}
	return who
}

func pow10(n int) int64 {
	v := int64(1)
	for range n {
		v *= 10
	}
	return v
}

// providerID is the wamid of an outbound message, or with a purpose that of an
// inbound one.
func (p *plan) providerID(index int, purpose kind) string {
	var b [17]byte
	binary.BigEndian.PutUint64(b[:], p.seed)
	binary.BigEndian.PutUint64(b[8:], uint64(index))
	b[16] = byte(purpose)
	sum := sha256.Sum256(b[:])
	return "wamid." + base64.StdEncoding.EncodeToString(sum[:24])
}

type object = map[string]any

// body is one webhook to post; render writes its bytes.
type body struct {
	block   int64
	index   int
	updates []update
}

// compose cuts the updates of a block into bodies. The order of updates must be
// a pure function of the plan.
func (p *plan) compose(block int64, updates []update) []body {
	r := rand.New(rand.NewPCG(p.seed^0x626f6469, uint64(block)))
	r.Shuffle(len(updates), func(i, j int) { updates[i], updates[j] = updates[j], updates[i] })
	var bodies []body
	for len(updates) > 0 {
		n := min(bodySize(r), len(updates))
		bodies = append(bodies, body{block, len(bodies), updates[:n:n]})
		updates = updates[n:]
	}
	return bodies
}

func bodySize(r *rand.Rand) int {
	switch u := r.Float64(); {
	case u < 0.25:
		return 1
	case u < 0.55:
		return 2 + r.IntN(30)
	case u < 0.90:
		return 30 + r.IntN(300)
	default:
		return maxUpdates
	}
}

// render writes one body: a change per sender and kind of update, cut at a few
// dozen items, spread over one or two entries.
func (p *plan) render(updates []update) []byte {
	type group struct {
		sender int
		class  string
	}
	order := []group{}
	items := map[group][]update{}
	for _, u := range updates {
		g := group{p.campaigns[p.at(u.message).campaign].sender, class(u.kind)}
		if items[g] == nil {
			order = append(order, g)
		}
		items[g] = append(items[g], u)
	}
	var changes []any
	for _, g := range order {
		for rest := items[g]; len(rest) > 0; {
			n := min(50, len(rest))
			changes = append(changes, p.change(g.sender, g.class, rest[:n]))
			rest = rest[n:]
		}
	}
	cut := (len(changes) + 1) / 2
	entries := []any{object{"id": Account, "changes": changes[:cut]}}
	if cut < len(changes) {
		entries = append(entries, object{"id": Account, "changes": changes[cut:]})
	}
	b, err := json.Marshal(object{"object": "whatsapp_business_account", "entry": entries})
	if err != nil {
		panic("BUG: render a body: " + err.Error())
	}
	return b
}

// class is the list in a change's value that holds an update.
func class(k kind) string {
	switch k {
	case kindSent, kindDelivered, kindRead, kindFailed:
		return "statuses"
	case kindPrefer:
		return "user_preferences"
	default:
		return "messages"
	}
}

func (p *plan) change(from int, class string, updates []update) object {
	s := senders()[from]
	value := object{
		"messaging_product": "whatsapp",
		"metadata":          object{"display_phone_number": s.display, "phone_number_id": s.id},
	}
	var items, contacts []any
	for _, u := range updates {
		m := p.at(u.message)
		who := p.person(m)
		switch class {
		case "statuses":
			items = append(items, p.status(u, m, who))
		case "user_preferences":
			items = append(items, object{
				"wa_id": who.phone, "detail": "User requested to stop marketing messages",
				"category": "marketing_messages", "value": "stop", "timestamp": u.occurred,
			})
		default:
			items = append(items, p.inbound(u, who, s))
			contacts = append(contacts, contact(who))
		}
	}
	value[class] = items
	if contacts != nil {
		value["contacts"] = contacts
	}
	field := "messages"
	if class == "user_preferences" {
		field = class
	}
	return object{"field": field, "value": value}
}

func contact(who person) object {
	c := object{"profile": object{"name": who.name}, "wa_id": who.phone}
	if who.userID != "" {
		c["user_id"] = who.userID
	}
	return c
}

func (p *plan) status(u update, m message, who person) object {
	c := p.campaigns[m.campaign]
	s := object{
		"id": p.providerID(m.index, kindSent), "timestamp": strconv.FormatInt(u.occurred, 10), "recipient_id": who.phone,
		"status": [...]string{"sent", "delivered", "read", "failed"}[u.kind],
	}
	if who.userID != "" && u.kind != kindFailed {
		s["recipient_user_id"] = who.userID
	}
	asPairs, onlySent := p.callbackHabits(m)
	if u.kind == kindSent || !onlySent {
		s["biz_opaque_callback_data"] = callback(c, m, who, asPairs)
	}
	if u.kind == kindSent || u.kind == kindDelivered {
		s["pricing"] = object{"billable": true, "pricing_model": "PMP", "type": "regular", "category": c.category}
	}
	if u.kind == kindFailed {
		title := "Message undeliverable"
		if u.code == 131049 {
			title = "This message was not delivered to maintain healthy ecosystem engagement."
		}
		s["errors"] = []any{object{"code": u.code, "title": title, "message": title, "error_data": object{"details": "Simulated."}}}
	}
	return s
}

// callbackHabits: some messages carry their callback data as pairs, some only on
// the first status.
func (p *plan) callbackHabits(m message) (asPairs, onlySent bool) {
	r := p.random(m.index, 4)
	return r.Float64() < 0.1, r.Float64() < 0.1
}

func callback(c campaign, m message, who person, pairs bool) string {
	variant := [...]string{"a", "b"}[m.variant]
	if pairs {
		return "campaign=" + c.name + ";template=" + c.template + ";variant=" + variant + ";segment=" + who.segment
	}
	b, err := json.Marshal(map[string]string{"campaign": c.name, "template": c.template, "variant": variant, "segment": who.segment})
	if err != nil {
		panic("BUG: render callback data: " + err.Error())
	}
	return string(b)
}

func (p *plan) inbound(u update, who person, s sender) object {
	m := object{"id": p.providerID(u.message, u.kind), "from": who.phone, "timestamp": strconv.FormatInt(u.occurred, 10)}
	quoted := object{"from": s.display, "id": p.providerID(u.message, kindSent)}
	switch u.kind {
	case kindTap:
		m["context"] = quoted
		p.tap(m, u.message)
	case kindLeave:
		m["context"] = quoted
		m["type"], m["button"] = "button", object{"payload": "leave", "text": "Stop promotions"}
	case kindQuote:
		m["context"] = quoted
		m["type"], m["text"] = "text", object{"body": "Is this still on tomorrow?"}
	case kindText:
		m["type"], m["text"] = "text", object{"body": "Thanks, which sizes are left?"}
	case kindStop:
		m["type"], m["text"] = "text", object{"body": "STOP!"}
	}
	return m
}

func (p *plan) tap(m object, index int) {
	switch p.random(index, 5).IntN(4) {
	case 0:
		m["type"], m["interactive"] = "interactive", object{"type": "button_reply", "button_reply": object{"id": "more", "title": "Show me more"}}
	case 1:
		m["type"], m["interactive"] = "interactive", object{"type": "list_reply", "list_reply": object{"id": "row-2", "title": "Offer of the day", "description": "Until midnight"}}
	default:
		m["type"], m["button"] = "button", object{"payload": "shop", "text": "Shop now"}
	}
}

// Sign returns the value of X-Hub-Signature-256 for a body.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// SampleBody is a small webhook for trying by hand: one message of the campaign
// "by_hand", delivered at the given second.
func SampleBody(at int64) []byte {
	s := senders()[0]
	id := "wamid.by-hand-" + strconv.FormatInt(at, 10)
	b, err := json.Marshal(object{"object": "whatsapp_business_account", "entry": []any{object{"id": Account, "changes": []any{object{
		"field": "messages",
		"value": object{
			"messaging_product": "whatsapp",
			"metadata":          object{"display_phone_number": s.display, "phone_number_id": s.id},
			"statuses": []any{object{
				"id": id, "status": "delivered", "timestamp": strconv.FormatInt(at, 10), "recipient_id": "31600000001",
				"biz_opaque_callback_data": `{"campaign":"by_hand"}`,
			}},
		},
	}}}}})
	if err != nil {
		panic("BUG: render the sample: " + err.Error())
	}
	return b
}
