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

// unread says of transfer syntaxes of the standard why their data sets cannot be read. No flow takes
// them: what they hold would be taken for Explicit VR Little Endian.
var unread = map[string]string{
	"1.2.840.10008.1.20":    "the standard does not say how its data sets are encoded", // Papyrus 3 Implicit VR Little Endian
	"1.2.840.10008.1.2.6.1": "its data sets are MIME messages",                         // RFC 2557 MIME encapsulation
	"1.2.840.10008.1.2.6.2": "its data sets are XML",                                   // XML Encoding
	"1.2.840.10008.1.2.7.1": "it is for RTP streams, and for no association (PS3.22)",  // SMPTE ST 2110-20 Uncompressed Progressive Active Video
	"1.2.840.10008.1.2.7.2": "it is for RTP streams, and for no association (PS3.22)",  // SMPTE ST 2110-20 Uncompressed Interlaced Active Video
	"1.2.840.10008.1.2.7.3": "it is for RTP streams, and for no association (PS3.22)",  // SMPTE ST 2110-30 PCM Digital Audio
}

// className returns the standard's name of a UID, or the UID itself.
func className(uid string) string {
	if n := dict.Name(uid); n != "" {
		return n
	}
	return uid
}
