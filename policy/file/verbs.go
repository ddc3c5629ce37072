package file

import "slices"

// Allow is the list of what a flow lets through.
type Allow struct {
	Verbs    []Verb
	Troubled bool // an entry could not be read, and it was said why
	At       Pos  // of its key
}

func (t Allow) Set() bool { return t.At.Set() }

// Verb is one entry of it: an operation, with what it is limited to.
type Verb struct {
	Name  string
	Index int // in the list, as written
	At    Pos

	Word  string // commit: reports
	Names Texts  // store: SOP classes; message: types
	All   bool   // store: all

	// find, move, get
	Model      Texts // information models
	Levels     Texts // PATIENT, STUDY, SERIES, IMAGE, FRAME
	Match      Texts // attributes that may be matched by; of move and get for private models
	Return     Texts // find: attributes that may be asked for
	Everything Bool  // whether it may match by nothing; of move and get for private models
	To         Texts // move: destinations
	Returns    Texts // move, get: SOP classes

	// mpps
	Retrieve Bool
	Notify   Bool

	// normalized
	Class      Texts // SOP classes of the presentation contexts
	Instances  Texts // SOP classes that requests may name besides
	Operations Texts // N-CREATE, …
	Actions    Ints  // action types
	Events     Ints  // event types
}

// KeyKind says what the value of a verb's key is.
type KeyKind uint8

const (
	KeyTexts KeyKind = iota
	KeyBool
	KeyInts
)

// Key is one key of a verb's map.
type Key struct {
	Name  string
	Kind  KeyKind
	Must  bool
	Enum  []string // the values it may have; none: any
	Means string
}

// VerbForm is how one verb is written: alone ("echo"), with a word ("commit: reports"), with names
// ("store: [a, b]") or with a map of keys ("find: {model: a}").
type VerbForm struct {
	Name  string
	Alone bool
	Words []string
	Names bool
	Keys  []Key
	Like  string // an example
	Means string
}

var (
	modelKey  = Key{Name: "model", Means: "The information model, by name or by SOP class: Study Root, Patient Root, Modality Worklist …; a private one by the UID of its SOP class, with match or everything."}
	levelsKey = Key{Name: "levels", Enum: []string{"PATIENT", "STUDY", "SERIES", "IMAGE", "FRAME"}, Means: "The levels that may be asked at; any unless said."}

	// A private model's retrievals name what the policy says.
	wholeKey = Key{Name: "everything", Kind: KeyBool, Means: "Of a private model: whether a retrieval may name nothing of match; false unless said."}
	namesKey = Key{Name: "match", Means: "Of a private model: attributes that name what is retrieved. The standard says it of its own models."}
)

// must is a key that has to be there.
func (k Key) must() Key { k.Must = true; return k }

// Verbs lists what allow may say.
var Verbs = []VerbForm{
	{Name: "commit", Alone: true, Words: []string{Reports}, Like: "commit, or commit: reports where it is the server that connects, to report",
		Means: "Storage commitment: the device asks whether its objects are safe, the server reports (DICOM PS3.4 J). With reports: whoever connects is the server, and delivers reports."},
	{Name: "echo", Alone: true, Like: "echo", Means: "Verification (DICOM PS3.4 A)."},
	{Name: "find", Keys: []Key{
		{Name: "everything", Kind: KeyBool, Means: "Whether a query may match by nothing, and so ask for everything; true for worklists and models without patients, false for archives unless said; private models must say it, or match."},
		levelsKey,
		{Name: "match", Means: "Attributes that may be matched by, as in DICOM PS3.6: Patient ID, Study Date; any unless said."},
		modelKey.must(),
		{Name: "return", Means: "Attributes that may be asked for, besides those of match; any unless said."},
	}, Like: "find: {model: Study Root}", Means: "Queries (DICOM PS3.4 C and K)."},
	{Name: "get", Alone: true, Keys: []Key{wholeKey, levelsKey, namesKey, modelKey,
		{Name: "returns", Means: "SOP classes of the objects that may come back; every storage class of the standard unless said."},
	}, Like: "get: {model: Study Root}", Means: "Retrieval on the same association (DICOM PS3.4 C)."},
	{Name: "message", Names: true, Like: "message: ORU^R01", Means: "HL7 v2 messages by type and trigger event; ORU^* for any event."},
	{Name: "move", Keys: []Key{wholeKey, levelsKey, namesKey, modelKey,
		{Name: "returns", Means: "SOP classes of the objects that may come back; every storage class of the standard unless said."},
		{Name: "to", Must: true, Means: "Where to: self is the device, anything else an AE title."},
	}, Like: "move: {to: self}", Means: "Retrieval to a destination (DICOM PS3.4 C)."},
	{Name: "mpps", Alone: true, Keys: []Key{
		{Name: "notify", Kind: KeyBool, Means: "The server may report steps as they change."},
		{Name: "retrieve", Kind: KeyBool, Means: "The device may read steps."},
	}, Like: "mpps", Means: "Modality performed procedure step (DICOM PS3.4 F)."},
	{Name: "normalized", Keys: []Key{
		{Name: "actions", Kind: KeyInts, Means: "Action types of N-ACTION; any unless said."},
		{Name: "class", Must: true, Means: "SOP classes, by name or UID."},
		{Name: "events", Kind: KeyInts, Means: "Event types of N-EVENT-REPORT, which the server sends; any unless said."},
		{Name: "instances", Means: "SOP classes that requests may name besides: of the members of a meta SOP class, or of instances that several classes share."},
		{Name: "operations", Must: true, Means: "The operations allowed.",
			Enum: []string{"N-CREATE", "N-SET", "N-GET", "N-ACTION", "N-DELETE", "N-EVENT-REPORT"}},
	}, Like: "normalized: {class: Instance Availability Notification, operations: [N-CREATE]}",
		Means: "Any other service of normalized SOP classes (DICOM PS3.7 10)."},
	{Name: "print", Alone: true, Like: "print", Means: "Print management (DICOM PS3.4 H)."},
	{Name: "store", Names: true, Like: "store: [CT Image Storage]",
		Means: "Objects to be stored, by SOP class name or UID; all for every storage SOP class of the standard."},
}

// Reports is the word for a service whose server connects to deliver what it reports.
const Reports = "reports"

// into returns where the value of a key goes.
func (v *Verb) into(key string) reads {
	return map[string]reads{
		"model": &v.Model, "levels": &v.Levels, "match": &v.Match, "return": &v.Return, "everything": &v.Everything,
		"to": &v.To, "returns": &v.Returns, "retrieve": &v.Retrieve, "notify": &v.Notify, "class": &v.Class,
		"instances": &v.Instances, "operations": &v.Operations, "actions": &v.Actions, "events": &v.Events,
	}[key]
}

func verbNames() (out []string) {
	for _, v := range Verbs {
		out = append(out, v.Name)
	}
	return out
}

func (t *Allow) read(n *Node, p *Problems) {
	t.At = n.Key
	if !t.At.Set() {
		t.At = n.At
	}
	if n.Kind != List {
		t.Troubled = true
		n.wants("a list", "write allow: ["+listed(n)+"]", p)
		return
	}
	for i, item := range n.Items {
		v := Verb{Index: i, At: item.At}
		if v.read(item, p) {
			t.Verbs = append(t.Verbs, v)
		} else {
			t.Troubled = true
		}
	}
}

// listed is what a list for allow would hold where its only entry was written without one.
func listed(n *Node) string {
	name := n.Value
	if n.Kind == Map && len(n.Entries) == 1 {
		name = n.Entries[0].Key
	}
	for _, form := range Verbs {
		switch {
		case form.Name != name:
		case n.Kind == Word && form.Alone:
			return name
		case form.Names || form.Keys != nil:
			return form.Like
		}
	}
	return "echo, store: [CT Image Storage]"
}

func (v *Verb) read(n *Node, p *Problems) bool {
	var argument *Node
	switch {
	case n.Kind == Word:
		v.Name = n.Value
	case n.Kind == Map && len(n.Entries) == 1:
		v.Name, argument = n.Entries[0].Key, n.Entries[0].Value
		v.At = argument.Key
	case n.Kind == Map:
		n.wants("one operation", "write one operation in an entry", p)
		return false
	default:
		n.wants("an operation", OneOf(verbNames()), p)
		return false
	}
	i := slices.IndexFunc(Verbs, func(known VerbForm) bool { return known.Name == v.Name })
	if i < 0 {
		p.Errorf(v.At, UnknownName, DidYouMean(v.Name, verbNames()), "unknown operation %q", v.Name)
		return false
	}
	return v.argument(argument, &Verbs[i], p)
}

func (v *Verb) argument(n *Node, form *VerbForm, p *Problems) bool {
	hint := "write " + form.Like
	switch {
	case n != nil && (n.Kind == Nothing || n.Kind == Null):
		p.Errorf(v.At, WrongType, hint, "%s: has no value", v.Name)
		return false
	case n == nil && form.Alone:
		return true
	case n == nil:
		p.Errorf(v.At, WrongType, hint, "%s alone does not say what is allowed", v.Name)
		return false
	case len(form.Words) > 0:
		return v.word(n, form, hint, p)
	case form.Names:
		if v.All = v.Name == "store" && n.Kind == Word && n.Value == "all"; !v.All {
			v.Names.read(n, p)
		}
		return v.All || len(v.Names.Values) > 0
	case len(form.Keys) == 0:
		p.Errorf(n.At, WrongType, hint, "%s takes nothing", v.Name)
		return false
	}
	return v.arguments(n, form, hint, p)
}

func (v *Verb) word(n *Node, form *VerbForm, hint string, p *Problems) bool {
	switch {
	case n.Kind != Word:
		n.wants("a word", hint, p)
	case !slices.Contains(form.Words, n.Value):
		p.Errorf(n.At, BadValue, hint, "%q is not a word that %s takes", n.Value, v.Name)
	default:
		v.Word = n.Value
		return true
	}
	return false
}

func (v *Verb) arguments(n *Node, form *VerbForm, hint string, p *Problems) bool {
	if n.Kind != Map {
		n.wants("a map", hint, p)
		return false
	}
	ok := true
	for _, e := range n.Entries {
		i := slices.IndexFunc(form.Keys, func(k Key) bool { return k.Name == e.Key })
		if i < 0 {
			p.Errorf(e.Value.Key, UnknownKey, DidYouMean(e.Key, form.keyNames()), "unknown key %q of %s", e.Key, v.Name)
			continue
		}
		into := v.into(e.Key)
		into.read(e.Value, p)
		if t, texts := into.(*Texts); texts {
			ok = form.Keys[i].listed(t, p) && ok
		}
	}
	for _, k := range form.Keys {
		if k.Must && n.Get(k.Name) == nil {
			p.Errorf(v.At, MissingKey, hint, "%s does not say %q", v.Name, k.Name)
			return false
		}
	}
	return ok
}

func (f *VerbForm) keyNames() (out []string) {
	for _, k := range f.Keys {
		out = append(out, k.Name)
	}
	return out
}

// listed holds values against the key's list.
func (k *Key) listed(t *Texts, p *Problems) bool {
	ok := true
	for _, v := range t.Values {
		if len(k.Enum) > 0 && !slices.Contains(k.Enum, v.Value) {
			ok = false
			p.Errorf(v.At, BadValue, DidYouMean(v.Value, slices.Clone(k.Enum)), "%q is not a value of %s", v.Value, k.Name)
		}
	}
	return ok
}
