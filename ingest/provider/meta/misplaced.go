package meta

import (
	"github.com/valyala/fastjson"
)

// maxLook bounds how deep a change is searched for lists. The one move that Meta
// has made so far was one level.
const maxLook = 3

// misplaced returns the names of the lists that stand somewhere in a change where
// change does not read them. If Meta moves them again, somebody must notice.
func misplaced(change *fastjson.Value) []string {
	var found []string
	if o, err := change.Object(); err == nil {
		o.Visit(func(key []byte, v *fastjson.Value) {
			if string(key) == "value" {
				found = append(found, lookIn(v, "value", 0)...)
			} else {
				found = append(found, lookAt(string(key), v, "", 0)...)
			}
		})
	}
	return found
}

// lookIn looks through an object or a list; place is its name if its lists are
// read.
func lookIn(v *fastjson.Value, place string, depth int) []string {
	var found []string
	if v == nil || depth > maxLook {
		return nil
	}
	switch v.Type() {
	case fastjson.TypeObject:
		v.GetObject().Visit(func(key []byte, v *fastjson.Value) {
			found = append(found, lookAt(string(key), v, place, depth)...)
		})
	case fastjson.TypeArray:
		for _, item := range v.GetArray() {
			found = append(found, lookIn(item, "", depth+1)...)
		}
	}
	return found
}

// lookAt judges one member of an object at that place.
func lookAt(key string, v *fastjson.Value, place string, depth int) []string {
	read := place == "value" || place == "standby"
	switch key {
	case "statuses", "messages", "user_preferences", "user_actions", "user_id_update":
		if read || v.Type() != fastjson.TypeArray && v.Type() != fastjson.TypeObject {
			return nil
		}
		return []string{key}
	case "contacts", "errors", "metadata", "message_echoes", "history", "state_sync":
		// Read elsewhere, or not counted on purpose: what the sender wrote itself, and
		// what was said before bluetick was connected.
		return nil
	case "standby":
		if place == "value" {
			return lookIn(v, "standby", depth+1)
		}
	}
	return lookIn(v, "", depth+1)
}
