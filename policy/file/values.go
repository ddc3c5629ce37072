package file

import "time"

// Until is the end of an exception: a day, which is included, or a time. One that could not be
// read has a place and no value.
type Until struct {
	Value time.Time
	At    Pos
}

func (t Until) Set() bool { return t.At.Set() }

func (t *Until) read(n *Node, p *Problems) {
	const hint = "write a day (2027-06-30) or a time (2026-12-01T18:00+01:00)"
	t.At = n.At // so that nobody reports it as missing
	if n.Kind != Word {
		n.wants("a day or a time", hint, p)
		return
	}
	if day, err := time.ParseInLocation(time.DateOnly, n.Value, time.Local); err == nil {
		*t = Until{day.AddDate(0, 0, 1), n.At}
		return
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(layout, n.Value); err == nil {
			*t = Until{at, n.At}
			return
		}
	}
	p.Errorf(n.place(), BadValue, hint, "%q is not a day or a time", n.Value)
}

// Patches is auto, none, or a list of names.
type Patches struct {
	Names []Text
	Word  string // "auto" or "none"; "" with a list
	At    Pos
}

func (t Patches) Set() bool { return t.At.Set() }

func (t *Patches) read(n *Node, p *Problems) {
	if n.Kind == List {
		var names Texts
		names.read(n, p)
		*t = Patches{Names: names.Values, At: n.At}
		return
	}
	if n.Kind != Word || n.Value != "auto" && n.Value != "none" {
		n.wants("auto, none or a list of names", "write auto, none or [name, name]", p)
		return
	}
	*t = Patches{Word: n.Value, At: n.At}
}
