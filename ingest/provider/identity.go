package provider

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"slices"
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"google.golang.org/protobuf/proto"

	"github.com/bluetick/bluetick/schemas"
)

// maxPhoneDigits is E.164's limit.
const maxPhoneDigits = 15

// CanonicalPhone is the number's digits, or empty if s is not a number. Providers
// write the same number as "+49 30 1234567" and "49301234567".
func CanonicalPhone(s string) string {
	if s == "" || len(s) > 2*maxPhoneDigits {
		return ""
	}
	for i := range len(s) {
		if (s[i] < '0' || s[i] > '9') && !strings.ContainsRune("+-. ()", rune(s[i])) {
			return ""
		}
	}
	d := digits(s)
	if len(d) > maxPhoneDigits {
		return ""
	}
	return d
}

// scopedCountry is the country that a business-scoped id such as
// "BR.4711abc" starts with, or empty if s does not have that form.
func scopedCountry(s string) string {
	if len(s) < 4 || s[2] != '.' || !upper(s[0]) || !upper(s[1]) {
		return ""
	}
	return s[:2]
}

func upper(c byte) bool { return c >= 'A' && c <= 'Z' }

// phoneCountry is the ISO 3166 alpha-2 country of a canonical number, empty if
// it has none or is too short to tell. Most calling codes are one country; only
// the shared ones (+1, +7, +44, …) need the numbering plan.
func phoneCountry(phone string) string {
	if len(phone) < minSecretDigits {
		return ""
	}
	for n := 1; n <= 3; n++ {
		code, err := strconv.Atoi(phone[:n])
		if err != nil {
			return ""
		}
		switch regions := phonenumbers.GetRegionCodesForCountryCode(code); len(regions) {
		case 0:
			continue
		case 1:
			return country(regions[0])
		}
		// A number the plan does not know yet is of the code's main country.
		main := phonenumbers.GetRegionCodeForCountryCode(code)
		return country(cmp.Or(phonenumbers.GetRegionCodeForNumber(planned(code, phone[n:])), main))
	}
	return ""
}

// planned is a canonical number in the form that the numbering plan's library
// takes. The library's own parser cleans up what people type, which takes three
// times as long as finding the country.
func planned(code int, national string) *phonenumbers.PhoneNumber {
	number := &phonenumbers.PhoneNumber{CountryCode: proto.Int32(int32(code))}
	if zeros := len(national) - len(strings.TrimLeft(national, "0")); zeros > 0 {
		// Italy's zeros belong to the number.
		number.ItalianLeadingZero = proto.Bool(true)
		number.NumberOfLeadingZeros = proto.Int32(int32(zeros))
	}
	if n, err := strconv.ParseUint(national, 10, 64); err == nil {
		number.NationalNumber = proto.Uint64(n)
	}
	return number
}

// country keeps alpha-2 codes and drops the numbering plan's "001" (satellite,
// freephone) and "ZZ" (unknown).
func country(region string) string {
	if len(region) != 2 || region == "ZZ" {
		return ""
	}
	return region
}

// Person collects the identities an item names and makes pseudonyms of them. The
// kinds of identity are one list for all providers, so that a person has the
// same keys whichever provider reports them.
type Person struct {
	mac     hash.Hash
	keys    []schemas.Key
	country string
	// scoped is the country of the business-scoped id, which counts only if no
	// phone names one.
	scoped  string
	secrets secrets
}

// newPerson starts with the hash keyed once for a whole body. marks are
// Dialect.IDMarks.
func newPerson(pepper []byte, marks []string) *Person {
	return &Person{mac: hmac.New(sha256.New, pepper), secrets: secrets{marks: marks}}
}

// reset makes p ready for the next item.
func (p *Person) reset() {
	p.keys, p.country, p.scoped = nil, "", ""
	p.secrets.phones, p.secrets.ids = p.secrets.phones[:0], p.secrets.ids[:0]
}

// AddNumber adds the content of a field meant for a phone number; since 2026 such
// a field may hold a business-scoped id. Anything else names nobody.
func (p *Person) AddNumber(s string) {
	if scopedCountry(s) != "" {
		p.AddScoped(s)
		return
	}
	phone := CanonicalPhone(s)
	if phone == "" {
		return
	}
	p.add("phone", phone)
	p.secrets.addPhone(phone)
	if p.country == "" {
		p.country = phoneCountry(phone)
	}
}

// AddScoped adds a business-scoped id.
func (p *Person) AddScoped(s string) {
	s = strings.TrimSpace(s)
	if s == "" || len(s) > MaxValue {
		return
	}
	p.add("bsuid", s)
	p.secrets.addID(s)
	if p.scoped == "" {
		p.scoped = scopedCountry(s)
	}
}

// keyed is the first 16 bytes of HMAC-SHA-256 under the operator's pepper of the
// parts, 0-separated. Whatever is short or follows a pattern is hashed by it and
// by nothing else: without the pepper all phone numbers are tried in seconds.
// The first part is the kind, so that a phone and an id of the same digits are two.
func keyed(mac hash.Hash, parts ...[]byte) schemas.Key {
	mac.Reset()
	for i, p := range parts {
		if i > 0 {
			mac.Write([]byte{0})
		}
		mac.Write(p)
	}
	var sum [sha256.Size]byte
	return schemas.Key(mac.Sum(sum[:0])[:16])
}

// add pseudonymises an identity.
func (p *Person) add(kind, identity string) {
	key := keyed(p.mac, []byte(kind), []byte(identity))
	if at, found := slices.BinarySearchFunc(p.keys, key, schemas.Key.Compare); !found {
		p.keys = slices.Insert(p.keys, at, key)
	}
}

// Hide adds an id that is not an identity, such as a message's or a group's: no
// text that contains it leaves.
func (p *Person) Hide(id string) { p.secrets.addID(id) }

// where is the person's country: by the phone, else by the scoped id.
func (p *Person) where() string {
	if p.country != "" {
		return p.country
	}
	return p.scoped
}
