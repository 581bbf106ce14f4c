package e2e

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// The traffic of these tests: n messages of two campaigns, each with a fate by
// its number, so that every count is known by arithmetic.
//
//	number % 10   0..5 delivered   6 read without delivered   7 failed
//	              8 delivered, read and tapped   9 delivered, leaves by button
type update = map[string]any

const account = "810000000000001"

// updates are all webhook items of message i, sent at second at.
func updates(i int, at int64) (statuses, messages []update) {
	campaign := [...]string{"autumn", "winter"}[i%2]
	id := fmt.Sprintf("wamid.E2E%05d", i)
	phone := fmt.Sprintf("3168%07d", i)
	status := func(name string, after int64) update {
		return update{
			"id": id, "status": name, "timestamp": strconv.FormatInt(at+after, 10), "recipient_id": phone,
			"biz_opaque_callback_data": `{"campaign":"` + campaign + `","variant":"a"}`,
		}
	}
	button := func(text string, after int64) update {
		return update{
			"id": id + ".in", "from": phone, "timestamp": strconv.FormatInt(at+after, 10), "type": "button",
			"button": update{"payload": text, "text": text}, "context": update{"id": id},
		}
	}
	statuses = append(statuses, status("sent", 0))
	switch i % 10 {
	case 6:
		statuses = append(statuses, status("read", 30))
	case 7:
		failed := status("failed", 2)
		failed["errors"] = []update{{"code": 131026, "title": "Message undeliverable"}}
		statuses = append(statuses, failed)
	case 8:
		statuses = append(statuses, status("delivered", 3), status("read", 40))
		messages = append(messages, button("Shop now", 60))
	case 9:
		statuses = append(statuses, status("delivered", 3))
		messages = append(messages, button("Stop promotions", 90))
	default:
		statuses = append(statuses, status("delivered", 3))
	}
	return statuses, messages
}

// body renders the updates of messages from..to (exclusive).
func body(from, to int, at int64) []byte {
	var statuses, messages []update
	for i := from; i < to; i++ {
		s, m := updates(i, at)
		statuses, messages = append(statuses, s...), append(messages, m...)
	}
	change := func(key string, items []update) update {
		return update{"field": "messages", "value": update{
			"messaging_product": "whatsapp",
			"metadata":          update{"display_phone_number": "31680000000", "phone_number_id": "820000000000002"},
			key:                 items,
		}}
	}
	changes := []update{}
	if len(statuses) > 0 {
		changes = append(changes, change("statuses", statuses))
	}
	if len(messages) > 0 {
		changes = append(changes, change("messages", messages))
	}
	b, err := json.Marshal(update{"object": "whatsapp_business_account", "entry": []update{{"id": account, "changes": changes}}})
	if err != nil {
		panic(err)
	}
	return b
}

// counts of messages 0..n, per campaign, in the order of countsQuery.
const countsQuery = `SELECT campaign, sent, delivered, opened, engaged, opted_out, failed FROM v_campaigns ORDER BY campaign`

func counts(n int) string {
	var lines string
	for c, campaign := range []string{"autumn", "winter"} {
		var sent, delivered, opened, engaged, left, failed int
		for i := c; i < n; i += 2 {
			sent++
			switch i % 10 {
			case 6:
				delivered, opened = delivered+1, opened+1
			case 7:
				failed++
			case 8:
				delivered, opened, engaged = delivered+1, opened+1, engaged+1
			case 9:
				delivered, opened, left = delivered+1, opened+1, left+1
			default:
				delivered++
			}
		}
		lines += fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%d\t%d\n", campaign, sent, delivered, opened, engaged, left, failed)
	}
	return lines[:len(lines)-1]
}
