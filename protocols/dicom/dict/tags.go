package dict

import (
	_ "embed"
	"strconv"
	"strings"
	"sync/atomic"
)

//go:embed tags.tsv
var tagTable string

// Elements are looked up for each one that passes, so they are in a hash table with open addresses
// that is two thirds full.
const (
	slotBits = 13
	slots    = 1 << slotBits
)

// The first of the groups in which curves and overlays repeat.
const (
	curves   = 0x5000
	overlays = 0x6000
)

// slot is one element of the standard.
type slot struct {
	tag uint32 // 0: the slot is free
	at  uint32 // where its row begins in the table
}

var (
	tags   [slots]slot
	tagVRs [slots]uint8 // in vrSets
	vrSets []VRs
)

func init() {
	index := map[string]uint8{}
	for at := 0; at < len(tagTable); {
		line, _, _ := strings.Cut(tagTable[at:], "\n")
		if !strings.HasPrefix(line, "#") {
			hex, rest, _ := strings.Cut(line, "\t")
			_, rest, _ = strings.Cut(rest, "\t")
			vrs, _, _ := strings.Cut(rest, "\t")
			set, ok := index[vrs]
			if !ok {
				set = uint8(len(vrSets))
				index[vrs] = set
				vrSets = append(vrSets, parseVRs(vrs))
			}
			tag, err := strconv.ParseUint(hex, 16, 32)
			if err != nil {
				panic("dict: tags.tsv: " + err.Error())
			}
			i := find(uint32(tag))
			tags[i], tagVRs[i] = slot{uint32(tag), uint32(at)}, set
		}
		at += len(line) + 1
	}
}

// parseVRs reads VRs with slashes between them.
func parseVRs(s string) (set VRs) {
	for name := range strings.SplitSeq(s, "/") {
		set |= Set(VROf(name[0], name[1]))
	}
	return set
}

// find returns the slot that a tag has, or the free one where it would be.
func find(tag uint32) uint32 {
	i := tag * 0x9E3779B1 >> (32 - slotBits)
	for tags[i].tag != tag && tags[i].tag != 0 {
		i = (i + 1) % slots
	}
	return i
}

// element returns the slot of a tag that the standard defines. Curves and overlays repeat in the
// even groups 50xx and 60xx.
func element(tag uint32) (i uint32, ok bool) {
	if i = find(tag); tags[i].tag != 0 {
		return i, true
	}
	if g := tag >> 16 & 0xFF00; (g == curves || g == overlays) && tag>>16&1 == 0 {
		i = find(tag &^ 0x00FF0000)
	}
	return i, tags[i].tag != 0
}

// VRsOf returns the VRs that the standard gives a data element (group in the upper, element in the
// lower 16 bits), none for one that it does not define. A group length (gggg,0000) is UL.
func VRsOf(tag uint32) VRs {
	if i, ok := element(tag); ok {
		return vrSets[tagVRs[i]]
	}
	if tag&0xFFFF == 0 {
		return Set(UL)
	}
	return 0
}

// TagName returns the standard's name of a data element, "" for one that it does not define.
func TagName(tag uint32) string {
	i, ok := element(tag)
	if !ok {
		return ""
	}
	_, rest, _ := strings.Cut(tagTable[tags[i].at:], "\t")
	name, _, _ := strings.Cut(rest, "\t")
	return name
}

// byTagName finds data elements by folded names and keywords. Few programs ask, so it is made when
// one does.
var byTagName atomic.Pointer[map[string]uint32]

// Tag returns the data element that a name or keyword of the standard stands for, in upper or
// lower case: "Patient's Name", "PatientName".
func Tag(name string) (tag uint32, ok bool) {
	names := byTagName.Load()
	if names == nil {
		m := map[string]uint32{}
		for i := range tags {
			if tags[i].tag == 0 {
				continue
			}
			line, _, _ := strings.Cut(tagTable[tags[i].at:], "\n")
			f := strings.Split(line, "\t")
			retired := f[3] != ""
			for _, n := range []string{fold(f[1]), fold(f[4])} {
				if _, taken := m[n]; n != "" && !(taken && retired) {
					m[n] = tags[i].tag
				}
			}
		}
		names = &m
		byTagName.Store(names)
	}
	tag, ok = (*names)[fold(name)]
	return tag, ok
}
