package policy

import (
	"cordon/protocols/dicom/dict"
)

// deflated holds the transfer syntaxes whose whole data set is deflated (PS3.5 §A.5). A flow takes
// them only when its policy names them.
var deflated = map[string]bool{
	"1.2.840.10008.1.2.1.99":  true, // Deflated Explicit VR Little Endian
	"1.2.840.10008.1.2.4.95":  true, // JPIP Referenced Deflate
	"1.2.840.10008.1.2.4.205": true, // JPIP HTJ2K Referenced Deflate
}

// className returns the standard's name of a UID, or the UID itself.
func className(uid string) string {
	if n := dict.Name(uid); n != "" {
		return n
	}
	return uid
}
