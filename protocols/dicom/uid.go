package dicom

import "bytes"

// maxUID is the longest UID (PS3.5 §9.1), padding excluded.
const maxUID = 64

// TrimUID returns b without its padding. PS3.5 §6.2 pads a UI with one NUL; old peers pad with
// spaces or with more than one byte, and forward what they pad.
func TrimUID(b []byte) []byte {
	for len(b) > 0 && padding(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

// TrimAE returns b without the spaces around it, which are not significant in an AE title
// (PS3.5 §6.2), and without the NULs that some peers pad with.
func TrimAE(b []byte) []byte {
	for len(b) > 0 && padding(b[0]) {
		b = b[1:]
	}
	return TrimUID(b)
}

func padding(c byte) bool { return c == ' ' || c == 0 }

// ValidUID tells whether b, its padding aside, is a UID as PS3.5 §9.1 forms it: at most 64 bytes
// of numeric components between dots. An empty component is what makes a UID dangerous as a
// name: ".." has only characters that a UID may have. Leading zeros in a component are forbidden
// by the standard and harmless; they occur and are let through.
func ValidUID(b []byte) bool { return components(b, func(c byte) bool { return '0' <= c && c <= '9' }) }

// LetteredUID is ValidUID for the UIDs of some old systems, whose components have letters: still
// no more than 64 bytes, no empty component, nothing that could leave a folder.
func LetteredUID(b []byte) bool {
	return components(b, func(c byte) bool {
		return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	})
}

// components tells whether b, its padding aside, is components of allowed characters between dots.
func components(b []byte, allowed func(byte) bool) bool {
	b = TrimUID(b)
	if len(b) == 0 || len(b) > maxUID {
		return false
	}
	some := false // the component has a character
	for _, c := range b {
		switch {
		case allowed(c):
			some = true
		case c == '.' && some:
			some = false
		default:
			return false
		}
	}
	return some
}

// sameUID tells whether two trimmed values name the same thing; absent values agree with all.
func sameUID(a, b []byte) bool { return a == nil || b == nil || bytes.Equal(a, b) }
