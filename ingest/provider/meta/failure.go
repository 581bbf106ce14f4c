package meta

import (
	"github.com/valyala/fastjson"

	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/schemas"
)

// failure reads the first of an item's errors; one that gives none is of
// category other.
func (d *decoder) failure(v *fastjson.Value) *schemas.Failure {
	first := provider.JSONFirst(v.Get("errors"))
	if first == nil {
		return &schemas.Failure{Category: schemas.FailOther}
	}
	return d.failureOf(first)
}

func (d *decoder) failureOf(v *fastjson.Value) *schemas.Failure {
	f := &schemas.Failure{Category: schemas.FailOther, Title: d.Public(provider.MaskTitle(provider.JSONFirstText(v, "title", "message")), provider.MaxTitle)}
	if code, ok := provider.JSONInteger(v.Get("code")); ok { // 0 is a code of its own
		f.Code, f.Category = code, category(code)
	}
	return f
}

// category maps the Cloud API's error codes to our categories.
func category(code int32) string {
	switch code {
	case 131049:
		return schemas.FailCapped
	case 130472:
		return schemas.FailExperiment
	case 131050:
		return schemas.FailRecipientStopped
	case 131026, 131036:
		return schemas.FailUndeliverable
	case 131047:
		return schemas.FailReengagement
	case 4, 80007, 130429, 131048, 131056, 133016:
		return schemas.FailThrottled
	case 132000, 132001, 132005, 132007, 132012, 132015, 132016, 132018, 132068, 132069:
		return schemas.FailTemplate
	case 0, 3, 10, 190, 131005, 131031, 131037, 131045, 133010:
		return schemas.FailAccount
	case 368, 130497, 131055, 131062, 131063:
		return schemas.FailPolicy
	case 100, 131008, 131009, 131021:
		return schemas.FailRequest
	case 131042:
		return schemas.FailPayment
	case 131014, 131051, 131052, 131053:
		return schemas.FailMedia
	case 1, 2, 131000, 131016, 131035, 131057:
		return schemas.FailProvider
	}
	if code >= 200 && code <= 299 { // permissions missing or withdrawn
		return schemas.FailAccount
	}
	return schemas.FailOther
}
