package schemas

import (
	"slices"
	"strings"
	"testing"
)

func defaultWords(t testing.TB) *OptOutWords {
	t.Helper()
	words, err := DefaultOptOutWords()
	if err != nil {
		t.Fatal(err)
	}
	return words
}

func TestOptOutMeaning(t *testing.T) {
	words := defaultWords(t)
	for _, c := range []struct {
		kind  string
		want  EventType
		texts []string
	}{
		{"case, space, punctuation", TypeOptedOut, []string{"stop", "STOP", " Stop!! ", "«stop».", "\t\"stop\"\r\n", "¡¡Baja!!", "...sair..."}},
		{"writing direction", TypeOptedOut, []string{"\u200fإلغاء الاشتراك\u200f", "st\u200bop", "\u2066STOP\u2069"}},
		{"other scripts keep their marks", TypeOptedOut, []string{"रोकें", "Стоп", "ОТПИСАТЬСЯ!"}},
		{"another letter without its mark", 0, []string{"राेक", "Отпишитеся"}},
		{"emoji at the ends", TypeOptedOut, []string{"🚫 stop", "Stop 👋🏿", "✋🏻 unsubscribe ✋🏻", "Afmelden ❎️", "stop 👩‍👩‍👧", "stop 🏳️‍🌈🇳🇱", "STOP 1️⃣", "stop ™", "🈲 stop"}},
		{"a digit is no decoration", 0, []string{"stop 1", "2 stop", "STOP 4711"}},
		{"accents left out or typed apart", TypeOptedOut, []string{"ARRÊT", "arret", "arre\u0302t", "Se Désabonner", "se desabonner", "nao quero mais receber", "wypisz mnie", "chce sie wypisac", "ZAKONCZ"}},
		{"letters with a stroke or without a dot", TypeOptedOut, []string{"İPTAL", "ıptal", "IPTAL", "proszę usunac moj numer", "nie wysyłaj", "nie wysylaj"}},
		{"compatible forms", TypeOptedOut, []string{"ｓｔｏｐ", "𝗦𝗧𝗢𝗣", "ſtop"}},
		{"as identifiers", TypeOptedOut, []string{"OPT_OUT", "opt-out", "stop__promotions", "STOP_ALL", "opt  \n out", "darme–de–baja"}},
		{"politeness", TypeOptedOut, []string{"Please stop", "stop, please!", "Stop. Many thanks.", "STOP por favor", "por favor, dar de baja. Gracias", "Bitte abmelden, danke", "please please stop", "kindly unsubscribe 🙏", "Отпишите меня, пожалуйста", "lütfen iptal"}},
		{"politeness alone", 0, []string{"please", "thanks", "please, thanks", "danke", "gracias 🙏"}},
		{"politeness that is part of another word", 0, []string{"pleasestop", "thanksgiving stop", "stop tyler", "stopthx"}},
		{"whole phrases", TypeOptedOut, []string{"No deseo recibir más mensajes", "quiero darme de baja", "Me tira da lista", "Keine Werbung mehr!", "ik wil geen berichten meer ontvangen", "Non voglio più ricevere messaggi", "Jangan kirim pesan lagi", "don’t contact me"}},
		{"what regulators and providers name", TypeOptedOut, []string{"stopall", "stop all", "unsubscribe", "unsub", "cancel", "end", "quit", "revoke", "opt out", "optout"}},
		{"Meta's own button", TypeOptedOut, []string{"Stop promotions", "Detener promociones", "Parar promoções", "Interrompi promozioni", "Promoties stoppen", "إيقاف العروض الترويجية"}},
		{"coming", TypeOptedIn, []string{"Start", "🚀 Start!", "S'ABONNER", "s’abonner", "please subscribe", "opt-in", "Подписаться"}},
		{"inside a sentence", 0, []string{
			"stop by our shop", "please stop by", "end of season?", "I will stop at noon", "cancel my order", "can you cancel", "the end is near",
			"baja el precio", "de baja calidad", "quero sair mais cedo", "no me manden más facturas", "start at 9?", "stop, we have enough", "stop stop the press",
			"don't stop", "non stop", "nonstop", "bus stop", "weekend", "unstoppable", "se", "stop - or not",
		}},
		{"nothing", 0, []string{"", "...", "🙏", "\u200b", "\xff"}},
		{"far too long", 0, []string{strings.Repeat("stop ", 1000), "stop " + strings.Repeat("please ", 200)}},
	} {
		for _, text := range c.texts {
			t.Run(c.kind+"/"+text, func(t *testing.T) {
				if got := words.Meaning(text); got != c.want {
					t.Errorf("%q (normal %q): got %d, want %d", text, normalWord(text), got, c.want)
				}
			})
		}
	}
	if (&OptOutWords{}).Meaning("stop") != 0 {
		t.Error("the zero value knows a word")
	}
}

func TestMayBeOptOut(t *testing.T) {
	words := defaultWords(t)
	for _, c := range []struct {
		text string
		want bool
	}{
		{"stop by our shop", true},
		{"end of season?", true},
		{"please STOP it!!", true},
		{"cta_unsubscribe_7", true},
		{"Ich will mich abmelden!", true},
		{"go away and opt-out me", true},
		{"Отпишите, пока не поздно", true},
		{"stop", false},
		{"please stop", false},
		{"start", false},
		{"nonstop", false},
		{"a weekend at the sea", false},
		{"what does it cost?", false},
		{"", false},
		{"stop " + strings.Repeat("x", 55), true},
		{"stop " + strings.Repeat("x", 56), false},
		{"стоп " + strings.Repeat("я", 55), true},
	} {
		t.Run(c.text, func(t *testing.T) {
			if got := words.MayBeOptOut(c.text); got != c.want {
				t.Errorf("got %t", got)
			}
		})
	}
	if (&OptOutWords{}).MayBeOptOut("stop it") {
		t.Error("the zero value knows a word")
	}
}

// TestDefaultWords: every language the lists promise has words of each kind, and
// a word in several languages knows them all.
func TestDefaultWords(t *testing.T) {
	have := map[string]map[EventType]int{}
	for _, w := range defaultWords(t).All() {
		if len(w.Languages) == 0 {
			t.Errorf("%q has no language", w.Text)
		}
		for _, l := range w.Languages {
			if have[l] == nil {
				have[l] = map[EventType]int{}
			}
			have[l][w.Meaning]++
		}
		if w.Text == "stop" && !slices.Equal(w.Languages, []string{"de", "en", "fr", "it", "nl", "pl"}) {
			t.Errorf("stop: languages %q", w.Languages)
		}
	}
	for _, l := range strings.Fields("en es pt fr de it nl id ar hi ru tr pl") {
		if have[l][TypeOptedOut] < 10 || have[l][TypeOptedIn] < 2 {
			t.Errorf("%s: %d words to leave, %d to come", l, have[l][TypeOptedOut], have[l][TypeOptedIn])
		}
	}
}

func TestParseOptOutWords(t *testing.T) {
	for _, c := range []struct{ name, data, problem string }{
		{"nothing", "", ""},
		{"same word twice", "en: {out: [stop, STOP]}", ""},
		{"same word in two languages", "en: {out: [stop]}\nfr: {out: [stop]}", ""},
		{"out and in", "en: {out: [stop], in: [Stop!]}", "both lists"},
		{"out in one language, in in another", "en: {out: [stop]}\nxx: {in: [stop]}", "both lists"},
		{"only punctuation", "en: {out: ['!!']}", "want 1 to"},
		{"empty politeness", "en: {polite: ['!!']}", "politeness"},
		{"too long", "en: {out: [" + strings.Repeat("x", 200) + "]}", "want 1 to"},
		{"unknown list", "en: {outs: [stop]}", "outs"},
		{"no list", "en: {out: 3}", "parse"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseOptOutWords([]byte(c.data))
			checkProblem(t, err, c.problem)
		})
	}
}

func checkProblem(t *testing.T, err error, problem string) {
	t.Helper()
	if problem == "" && err != nil || problem != "" && (err == nil || !strings.Contains(err.Error(), problem)) {
		t.Errorf("got %v, want %q", err, problem)
	}
}

func TestOptOutWordsWith(t *testing.T) {
	base := defaultWords(t)
	for _, c := range []struct {
		name    string
		out, in WordChange
		problem string
		want    map[string]EventType
	}{
		{"nothing", WordChange{}, WordChange{}, "", map[string]EventType{"stop": TypeOptedOut, "start": TypeOptedIn}},
		{"a word of our own", WordChange{Add: []string{"No Más"}}, WordChange{}, "", map[string]EventType{"no mas, gracias": TypeOptedOut, "stop": TypeOptedOut}},
		{"one less", WordChange{Remove: []string{"CANCEL"}}, WordChange{}, "", map[string]EventType{"cancel": 0, "quit": TypeOptedOut}},
		{"from one list to the other", WordChange{Add: []string{"start"}}, WordChange{Remove: []string{"start"}}, "", map[string]EventType{"start": TypeOptedOut}},
		{"known already", WordChange{Add: []string{"stop"}}, WordChange{}, "", map[string]EventType{"stop": TypeOptedOut}},
		{"in the other list", WordChange{Add: []string{"start"}}, WordChange{}, "both lists", nil},
		{"removing what is not there", WordChange{Remove: []string{"xyzzy"}}, WordChange{}, "not in the list", nil},
		{"removing from the wrong list", WordChange{}, WordChange{Remove: []string{"stop"}}, "not in the list", nil},
		{"empty", WordChange{Add: []string{"🙏"}}, WordChange{}, "want 1 to", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := base.With(c.out, c.in)
			checkProblem(t, err, c.problem)
			for text, want := range c.want {
				if m := got.Meaning(text); m != want {
					t.Errorf("%q: got %d, want %d", text, m, want)
				}
			}
		})
	}
	if base.Meaning("cancel") != TypeOptedOut || base.Meaning("start") != TypeOptedIn {
		t.Error("a change of one source's words changed the defaults")
	}
}

// FuzzOptOutMeaning: what surrounds a text without meaning never changes what it
// means, and a text with a meaning is not doubtful.
func FuzzOptOutMeaning(f *testing.F) {
	for _, s := range []string{"stop", "Se désabonner", "إلغاء الاشتراك", "stop by", "İ", "\xff", "रोकें", "STOP ✋🏽", "please stop, thanks", "1️⃣", "ΐ", "ﷺ"} {
		f.Add(s)
	}
	words := defaultWords(f)
	f.Fuzz(func(t *testing.T, s string) {
		got := words.Meaning(s)
		if got != 0 && got != TypeOptedOut && got != TypeOptedIn {
			t.Fatalf("meaning %d", got)
		}
		if got != 0 && words.MayBeOptOut(s) {
			t.Errorf("%q means %d and may be an opt-out", s, got)
		}
		for _, same := range []string{" " + s + "\n", "\"" + s + "!\"", "🛑 " + s + " ✋🏽"} {
			if words.Meaning(same) != got {
				t.Errorf("%q means %d, %q means %d", s, got, same, words.Meaning(same))
			}
		}
	})
}
