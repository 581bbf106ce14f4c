package meta

import (
	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/ingest/provider"
)

// contacts joins the two identities of the people a change lists.
type contacts struct {
	scopedOf map[string]string // canonical phone → business-scoped id
	phoneOf  map[string]string // business-scoped id → phone as written
	only     *fastjson.Value   // the contact if there is exactly one
}

// contactsOf reads the contacts of all the objects that hold a change's lists.
func contactsOf(values ...*fastjson.Value) contacts {
	var list []provider.JSONItem
	for _, v := range values {
		items, _ := provider.JSONList(v.Get("contacts"))
		list = append(list, items...)
	}
	if len(list) == 0 {
		return contacts{}
	}
	c := contacts{scopedOf: make(map[string]string, len(list)), phoneOf: make(map[string]string, len(list))}
	for _, item := range list {
		phone, scoped := provider.JSONText(item.Value, "wa_id"), provider.JSONText(item.Value, "user_id")
		if phone != "" && scoped != "" {
			c.scopedOf[provider.CanonicalPhone(phone)] = scoped
			c.phoneOf[scoped] = phone
		}
	}
	if len(list) == 1 {
		c.only = list[0].Value
	}
	return c
}

// identify adds the people an item names, and the other identity the change's
// contacts give for them. An item that names nobody is taken to be about the only
// contact.
func (d *decoder) identify(number, scoped string) {
	if number == "" && scoped == "" && d.contacts.only != nil {
		number, scoped = provider.JSONText(d.contacts.only, "wa_id"), provider.JSONText(d.contacts.only, "user_id")
	}
	if scoped == "" {
		if phone := provider.CanonicalPhone(number); phone != "" {
			scoped = d.contacts.scopedOf[phone]
		}
	}
	if number == "" {
		number = d.contacts.phoneOf[scoped]
	}
	d.Person.AddNumber(number)
	d.Person.AddScoped(scoped)
}
