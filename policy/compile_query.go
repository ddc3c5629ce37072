package policy

import (
	"fmt"
	"slices"
	"strings"

	"cordon/policy/file"
	"cordon/protocols/dicom"
	"cordon/protocols/dicom/dict"
)

// model is an information model that C-FIND, C-MOVE and C-GET work on, with the SOP class of each
// (PS3.4 §C.6, §K.6, §Y.6 and others). An empty one does not exist.
type model struct {
	name            string
	find, move, get string
	levels          []string // from the highest; none where the model has none
	// heed are the keys that every server must match by: unique and required ones. A query that
	// matches by none of them asks for everything.
	heed []heeded
	// archive says that everything is too much to ask unless the policy says otherwise, since it may
	// be all patients: the other models hold what is scheduled, or no patients.
	archive bool
}

// heeded is a key that every server must match by.
type heeded struct {
	place
	// level is where. Queries of lower levels heed unique keys too: they name what is looked into
	// (PS3.4 §C.4.1.3.1.1).
	level  string
	unique bool
}

var (
	patientLevels = []string{"PATIENT", "STUDY", "SERIES", "IMAGE"}

	// archiveKeys are the unique and required keys of PS3.4 §C.6.1.1 and §C.6.2.1. Those of the
	// patient are the study's where patients are no level.
	archiveKeys = []heeded{
		{place{0, 0x00100010}, "PATIENT", false}, // Patient's Name
		{place{0, 0x00100020}, "PATIENT", true},  // Patient ID
		{place{0, 0x00080020}, "STUDY", false},   // Study Date
		{place{0, 0x00080030}, "STUDY", false},   // Study Time
		{place{0, 0x00080050}, "STUDY", false},   // Accession Number
		{place{0, 0x00200010}, "STUDY", false},   // Study ID
		{place{0, 0x0020000D}, "STUDY", true},    // Study Instance UID
		{place{0, 0x00080060}, "SERIES", false},  // Modality
		{place{0, 0x00200011}, "SERIES", false},  // Series Number
		{place{0, 0x0020000E}, "SERIES", true},   // Series Instance UID
		{place{0, 0x00200013}, "IMAGE", false},   // Instance Number
		{place{0, 0x00080018}, "IMAGE", true},    // SOP Instance UID
	}

	// worklistKeys are the required keys of PS3.4 §K.6.1.2.2.
	worklistKeys = []heeded{
		{place: place{tagSteps, 0x00080060}}, // Modality
		{place: place{0, 0x00100010}},        // Patient's Name
		{place: place{0, 0x00100020}},        // Patient ID
		{place: place{tagSteps, 0x00400001}}, // Scheduled Station AE Title
		{place: place{tagSteps, 0x00400002}}, // Scheduled Procedure Step Start Date
		{place: place{tagSteps, 0x00400003}}, // Scheduled Procedure Step Start Time
		{place: place{tagSteps, 0x00400006}}, // Scheduled Performing Physician's Name
	}

	// objectKeys are what a retrieval names its objects by where models have no other level.
	objectKeys = []heeded{{place{0, 0x00080018}, "", true}} // SOP Instance UID

	// relevantKeys name the patient (PS3.4 §Q.4.3.1.2); there is one answer at most.
	relevantKeys = []heeded{{place: place{0, 0x00100020}}} // Patient ID

	// productKeys are the required key of PS3.4 §V.6.1.2.2.
	productKeys = []heeded{{place: place{0, 0x00440001}}} // Product Package Identifier

	// approvalKeys are those of PS3.4 §V.6.2.2.2 that name the patient: one of them has to be there.
	approvalKeys = []heeded{
		{place: place{0, 0x00100020}}, // Patient ID
		{place: place{0, 0x00380010}}, // Admission ID
	}
)

// models are those of the standard, in force and retired. The first are what errors give as examples.
var models = []model{
	{"Study Root", "1.2.840.10008.5.1.4.1.2.2.1", "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3", patientLevels[1:], archiveKeys, true},
	{"Patient Root", "1.2.840.10008.5.1.4.1.2.1.1", "1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.1.3", patientLevels, archiveKeys, true},
	{"Modality Worklist", "1.2.840.10008.5.1.4.31", "", "", nil, worklistKeys, false},
	{"Patient/Study Only", "1.2.840.10008.5.1.4.1.2.3.1", "1.2.840.10008.5.1.4.1.2.3.2", "1.2.840.10008.5.1.4.1.2.3.3", patientLevels[:2], archiveKeys, true},
	{"Repository Query", "1.2.840.10008.5.1.4.1.1.201.6", "", "", patientLevels[1:], archiveKeys, true}, // Study Root (PS3.4 §C.6.4)
	{"Composite Instance Root", "", "1.2.840.10008.5.1.4.1.2.4.2", "1.2.840.10008.5.1.4.1.2.4.3", []string{"IMAGE", "FRAME"}, archiveKeys[len(archiveKeys)-1:], false},
	{"Composite Instance Retrieve Without Bulk Data", "", "", "1.2.840.10008.5.1.4.1.2.5.3", nil, objectKeys, false},
	{"General Purpose Worklist", purposeFind, "", "", nil, nil, false},
	{"Unified Procedure Step - Pull", "1.2.840.10008.5.1.4.34.6.3", "", "", nil, nil, false},
	{"Unified Procedure Step - Watch", "1.2.840.10008.5.1.4.34.6.2", "", "", nil, nil, false},
	{"Unified Procedure Step - Query", "1.2.840.10008.5.1.4.34.6.5", "", "", nil, nil, false},
	{"Unified Procedure Step - Pull - Trial", "1.2.840.10008.5.1.4.34.4.3", "", "", nil, nil, false},
	{"Unified Procedure Step - Watch - Trial", "1.2.840.10008.5.1.4.34.4.2", "", "", nil, nil, false},
	{"General Relevant Patient Information Query", "1.2.840.10008.5.1.4.37.1", "", "", nil, relevantKeys, true},
	{"Breast Imaging Relevant Patient Information Query", "1.2.840.10008.5.1.4.37.2", "", "", nil, relevantKeys, true},
	{"Cardiac Relevant Patient Information Query", "1.2.840.10008.5.1.4.37.3", "", "", nil, relevantKeys, true},
	{"Product Characteristics Query", "1.2.840.10008.5.1.4.41", "", "", nil, productKeys, false},
	{"Substance Approval Query", "1.2.840.10008.5.1.4.42", "", "", nil, approvalKeys, true},
	{"Hanging Protocol", "1.2.840.10008.5.1.4.38.2", "1.2.840.10008.5.1.4.38.3", "1.2.840.10008.5.1.4.38.4", nil, objectKeys, false},
	{"Color Palette", "1.2.840.10008.5.1.4.39.2", "1.2.840.10008.5.1.4.39.3", "1.2.840.10008.5.1.4.39.4", nil, objectKeys, false},
	{"Generic Implant Template", "1.2.840.10008.5.1.4.43.2", "1.2.840.10008.5.1.4.43.3", "1.2.840.10008.5.1.4.43.4", nil, objectKeys, false},
	{"Implant Assembly Template", "1.2.840.10008.5.1.4.44.2", "1.2.840.10008.5.1.4.44.3", "1.2.840.10008.5.1.4.44.4", nil, objectKeys, false},
	{"Implant Template Group", "1.2.840.10008.5.1.4.45.2", "1.2.840.10008.5.1.4.45.3", "1.2.840.10008.5.1.4.45.4", nil, objectKeys, false},
	{"Defined Procedure Protocol", "1.2.840.10008.5.1.4.20.1", "1.2.840.10008.5.1.4.20.2", "1.2.840.10008.5.1.4.20.3", nil, objectKeys, false},
	{"Protocol Approval", "1.2.840.10008.5.1.4.1.1.200.4", "1.2.840.10008.5.1.4.1.1.200.5", "1.2.840.10008.5.1.4.1.1.200.6", nil, objectKeys, false},
	{"Inventory", "1.2.840.10008.5.1.4.1.1.201.2", "1.2.840.10008.5.1.4.1.1.201.3", "1.2.840.10008.5.1.4.1.1.201.4", nil, objectKeys, false},
}

const purposeFind = "1.2.840.10008.5.1.4.32.1" // General Purpose Worklist Information Model - FIND

// findMeta are the meta SOP classes that a model's SOP class is a member of.
var findMeta = map[string]string{purposeFind: "1.2.840.10008.5.1.4.32"}

// privateModel is a model that the standard does not have. Nobody but the policy's author knows
// what its servers match by, and it may hold patients.
func privateModel(uid string) *model {
	return &model{name: uid, find: uid, move: uid, get: uid, archive: true}
}

func (m *model) private() bool { return m.name == m.find }

// retrieval says how one of find, move and get is compiled.
type retrieval struct {
	verb  string
	field uint16
	of    func(*model) string
}

var (
	finding = retrieval{"find", dicom.CFindRQ, func(m *model) string { return m.find }}
	moving  = retrieval{"move", dicom.CMoveRQ, func(m *model) string { return m.move }}
	getting = retrieval{"get", dicom.CGetRQ, func(m *model) string { return m.get }}
)

func (c *compiler) allowFind(f *flowFile, v *file.Verb, rule string) bool {
	match, ok := c.attributes(v.Match)
	asked, known := c.attributes(v.Return)
	if !ok || !known {
		return false
	}
	return c.retrieve(f, v, finding, operation{rule: rule}, func(m *model) *query {
		q := &query{levels: v.Levels.Strings()}
		if v.Match.Set() {
			q.match = tagSet(match)
			c.descends(v, m, q.match)
		}
		if v.Return.Set() {
			q.asked = tagSet(match, asked)
		}
		if everything := v.Everything.Value || !v.Everything.Set() && !m.archive; !everything {
			q.narrow = m.narrowing(match)
		}
		return q
	})
}

// descends notes levels that ordinary queries do not reach: one below the highest names by unique
// keys what it is about, level by level (PS3.4 §C.4.1.3.1), and match does not have all of them.
func (c *compiler) descends(v *file.Verb, m *model, match map[dicom.Tag]bool) {
	unique := map[string]dicom.Tag{"PATIENT": 0x00100020, "STUDY": 0x0020000D, "SERIES": 0x0020000E}
	for _, t := range v.Levels.Values {
		for _, above := range m.levels[:max(0, slices.Index(m.levels, t.Value))] {
			if key := unique[above]; key != 0 && !match[key] {
				name := dict.TagName(uint32(key))
				c.Notef(t.At, file.Remark, fmt.Sprintf("add %s to match", name), "a query at level %s names the %s by %s, which match does not have", t.Value, strings.ToLower(above), name)
			}
		}
	}
}

func (c *compiler) allowMove(f *flowFile, v *file.Verb, rule string) bool {
	op := operation{rule: rule}
	for _, t := range v.To.Values {
		switch {
		case t.Value == "self" && len(f.Device.AETitles) == 0:
			c.Errorf(t.At, file.MissingKey, "write ae: {titles: [...]} in the device file", "self is the device's AE title, and it has none")
			return false
		case t.Value == "self":
			op.destinations = append(op.destinations, f.Device.AETitles...)
		case !c.aeTitle(t):
			return false
		default:
			if file.Suggest(t.Value, []string{"self"}) != "" {
				c.Notef(t.At, file.Remark, "did you mean self, the device?", "%q is taken for the AE title of a destination", t.Value)
			}
			op.destinations = append(op.destinations, c.titles.both(t.Value)...)
		}
	}
	if v.Returns.Set() && !toSelf(v) {
		c.Notef(v.Returns.At, file.Remark, "add self to the destinations, or take returns out",
			"returns has no effect: it says what comes back to the device, and self is not among the destinations")
	}
	asks, ok := c.naming(v)
	for _, t := range v.Returns.Values {
		_, known := c.storageClass(t)
		ok = ok && known
	}
	return ok && c.retrieve(f, v, moving, op, asks)
}

func (c *compiler) allowGet(f *flowFile, v *file.Verb, rule string) bool {
	ok := c.allowReturns(f, v, rule)
	asks, known := c.naming(v)
	return known && c.retrieve(f, v, getting, operation{rule: rule}, asks) && ok
}

// naming demands that a retrieval names what it wants: by what the standard says, and of private
// models by what the policy does.
func (c *compiler) naming(v *file.Verb) (asks func(*model) *query, ok bool) {
	match, ok := c.attributes(v.Match)
	return func(m *model) *query {
		q := &query{levels: v.Levels.Strings(), exact: true}
		switch {
		case !m.private():
			q.narrow = m.naming()
			return q
		case !v.Everything.Value:
			q.narrow = m.narrowing(match)
		}
		if v.Match.Set() {
			q.match = tagSet(match)
		}
		return q
	}, ok
}

// retrieve allows an operation on the models of a verb, Study Root unless it says, with the
// C-CANCEL that belongs to it, which names no SOP class.
func (c *compiler) retrieve(f *flowFile, v *file.Verb, r retrieval, op operation, asks func(*model) *query) bool {
	wanted := v.Model.Values
	if len(wanted) == 0 {
		wanted = []file.Text{{Value: "Study Root", At: v.At}}
	}
	ok := true
	for _, t := range wanted {
		m := c.model(t, r)
		if m == nil || !c.levels(v, m) || !c.narrowable(t, v, m, r) {
			ok = false
			continue
		}
		op.field, op.query = r.field, asks(m)
		cancel := operation{field: dicom.CancelRQ, rule: op.rule}
		f.dicom.allow(r.of(m), op)
		f.dicom.allow(r.of(m), cancel)
		if meta := findMeta[r.of(m)]; meta != "" {
			f.dicom.allowNamed(meta, r.of(m), op)
			f.dicom.allow(meta, cancel)
		}
	}
	return ok
}

// levels holds the levels of a verb against those of a model.
func (c *compiler) levels(v *file.Verb, m *model) bool {
	for _, t := range v.Levels.Values {
		switch {
		case len(m.levels) == 0:
			c.Errorf(t.At, file.BadValue, "take levels out", "%s has no levels", m.name)
			return false
		case !slices.Contains(m.levels, t.Value):
			c.Errorf(t.At, file.BadValue, file.OneOf(m.levels), "%s has no level %s", m.name, t.Value)
			return false
		}
	}
	return true
}

// narrowable reports a query that must match by something where nothing says by what, and what is
// said of retrievals that the standard has said.
func (c *compiler) narrowable(t file.Text, v *file.Verb, m *model, r retrieval) bool {
	switch {
	case m.private():
		if !v.Match.Set() && !v.Everything.Value {
			c.Errorf(t.At, file.MissingKey, "write match: and the attributes, or everything: true",
				"%s is no model of the standard, and nothing says what a C-%s of it must name", t.Value, strings.ToUpper(r.verb))
			return false
		}
	case r.field == dicom.CFindRQ:
		if v.Everything.Set() && !v.Everything.Value && len(m.heed) == 0 && !v.Match.Set() {
			c.Errorf(v.Everything.At, file.MissingKey, "write match: and the attributes", "%s has no keys that every server must match by, so everything: false refuses all queries", m.name)
			return false
		}
	default:
		for _, k := range []struct {
			at  file.Pos
			key string
		}{{v.Match.At, "match"}, {v.Everything.At, "everything"}} {
			if k.at.Set() {
				c.Errorf(k.at, file.BadValue, "take it out", "%s is for private models: the standard says what a C-%s of %s names", k.key, strings.ToUpper(r.verb), m.name)
				return false
			}
		}
	}
	return true
}

// model finds a model by its name, or by the name or UID of the verb's SOP class. A UID that the
// standard does not have is that of a private model. It returns nil for one that the verb does not
// work on.
func (c *compiler) model(t file.Text, r retrieval) *model {
	uid, isUID := asUID(t.Value)
	var able []string
	var other *model // one that is meant, and the verb does not work on
	for i := range models {
		m := &models[i]
		named := strings.EqualFold(m.name, t.Value)
		if is := r.of(m); is != "" {
			if named || isUID && uid == is {
				return m
			}
			able = append(able, m.name)
		}
		if named || isUID && (uid == m.find || uid == m.move || uid == m.get) {
			other = m
		}
	}
	known := ""
	if isUID {
		known = dict.Name(uid)
	}
	such := "write one such as " + strings.Join(able[:3], ", ")
	switch {
	case isUID && known == "":
		return privateModel(uid)
	case other != nil && r.of(other) != "":
		c.Errorf(t.At, file.UnknownName, fmt.Sprintf("write %q", other.name), "%q is for %s, not for %s", t.Value, strings.Join(other.verbs(uid), " and "), r.verb)
	case other != nil:
		c.Errorf(t.At, file.UnknownName, such, "%q is a model of %s, not of %s", t.Value, strings.Join(other.verbs(""), " and "), r.verb)
	case known != "" && known != t.Value:
		c.Errorf(t.At, file.UnknownName, such, "%q is %s, which is no model of %s", t.Value, known, r.verb)
	case known != "":
		c.Errorf(t.At, file.UnknownName, such, "%q is no model of %s", t.Value, r.verb)
	case strings.Trim(t.Value, "0123456789.") == "":
		c.uid(t, "model")
	default:
		if near := modelsMeant(t.Value, able); len(near) > 0 {
			such = didYouMean(near)
		}
		c.Errorf(t.At, file.UnknownName, such, "unknown model %q of %s", t.Value, r.verb)
	}
	return nil
}

// verbs are those that work on the model, with one of its SOP classes or with any ("").
func (m *model) verbs(class string) (names []string) {
	for _, r := range []retrieval{finding, moving, getting} {
		if uid := r.of(m); uid != "" && (class == "" || class == uid) {
			names = append(names, r.verb)
		}
	}
	return names
}

// modelsMeant are the models that a name may mean: a misspelt one, or one that has more or less of
// the standard's name, such as "Relevant Patient Information".
func modelsMeant(word string, names []string) (near []string) {
	if s := file.Suggest(word, slices.Clone(names)); s != "" {
		return []string{s}
	}
	word = strings.ToLower(word)
	for _, n := range names {
		name := strings.ToLower(n)
		if strings.Contains(word, name) || len(word) >= 3 && strings.Contains(name, word) {
			near = append(near, n)
		}
	}
	return near
}

func tagSet(lists ...[]dicom.Tag) map[dicom.Tag]bool {
	set := map[dicom.Tag]bool{}
	for _, list := range lists {
		for _, t := range list {
			set[t] = true
		}
	}
	return set
}

// narrowing are the keys that narrow a query of each level: what every server must match by there,
// and what the policy says may be matched by.
func (m *model) narrowing(match []dicom.Tag) map[string]map[place]bool {
	sets := map[string]map[place]bool{}
	for i, level := range m.ladder() {
		set := map[place]bool{}
		known := map[dicom.Tag]bool{}
		for _, h := range m.heed {
			at, unique := m.rung(h)
			if at == i || at < i && (unique || slices.Contains(match, h.tag)) {
				set[h.place] = true
			}
			known[h.tag] = true
		}
		for _, tag := range match {
			if known[tag] {
				continue // servers look for it where the standard has it, and not below the level
			}
			set[place{0, tag}] = true
			if !m.archive {
				set[place{tagSteps, tag}] = true
			}
		}
		sets[level] = set
	}
	return sets
}

// naming are the keys that name what is retrieved at each level: its unique one (PS3.4 §C.4.2.2.1),
// or where it has none the unique one above.
func (m *model) naming() map[string]map[place]bool {
	sets := map[string]map[place]bool{}
	for i, level := range m.ladder() {
		set := map[place]bool{}
		for ; i >= 0 && len(set) == 0; i-- {
			for _, h := range m.heed {
				if at, unique := m.rung(h); at == i && unique {
					set[h.place] = true
				}
			}
		}
		sets[level] = set
	}
	return sets
}

// ladder are the levels of the model; a single one without a name where it has none.
func (m *model) ladder() []string {
	if len(m.levels) == 0 {
		return []string{""}
	}
	return m.levels
}

// rung says on which level of the model a key is, and whether it is unique there. Where patients are
// no level, what is theirs belongs to the highest, and is unique to nothing.
func (m *model) rung(h heeded) (at int, unique bool) {
	at = slices.Index(m.ladder(), h.level)
	return max(0, at), h.unique && at >= 0
}
