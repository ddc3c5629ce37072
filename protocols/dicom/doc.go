// Package dicom reads and writes what DICOM sends over a network: the upper layer (PS3.8), its
// association negotiation (PS3.8 §9.3 and PS3.7 Annex D), messages (PS3.7) and as much of a data
// set (PS3.5) as rules look at. It knows no policy; what it reads it hands to [Rules].
//
// A connection carries one association. The requestor proposes presentation contexts, each an
// abstract syntax (what is meant: a SOP class) with the transfer syntaxes (how it is written) it
// can use; the acceptor answers each; then messages flow as PDVs until one side releases or
// aborts.
//
//	requestor                         acceptor
//	    ├── A-ASSOCIATE-RQ ──────────────▶│  contexts 1, 3, 5 proposed
//	    │◀────────────── A-ASSOCIATE-AC ──┤  1 and 5 accepted, 3 rejected
//	    ├── P-DATA-TF (command, data) ───▶│  on context 1
//	    │◀── P-DATA-TF (command) ─────────┤
//	    ├── A-RELEASE-RQ ────────────────▶│
//	    │◀──────────────── A-RELEASE-RP ──┤
//
// Every PDU starts with a header of six bytes; numbers are big endian (PS3.8 §9.3.1):
//
//	0      1          2          6                      6+length
//	├──────┼──────────┼──────────┼──────────────────────┤
//	│ type │ reserved │  length  │ length bytes         │
//	└──────┴──────────┴──────────┴──────────────────────┘
//
// The variable part of A-ASSOCIATE PDUs holds items, which may hold sub-items, of one form:
//
//	0      1          2          4                      4+length
//	├──────┼──────────┼──────────┼──────────────────────┤
//	│ type │ reserved │  length  │ value                │
//	└──────┴──────────┴──────────┴──────────────────────┘
//
// A P-DATA-TF PDU holds PDVs, fragments of a command set or of a data set (PS3.8 §9.3.5, Annex E):
//
//	0             4            5           6                     4+length
//	├─────────────┼────────────┼───────────┼─────────────────────┤
//	│ item length │ context ID │ control   │ fragment            │
//	└─────────────┴────────────┴───────────┴─────────────────────┘
//	 bytes after    odd          bit 0: command (1) or data set (0)
//	 this field                  bit 1: last fragment of it
//
// On each context one side is the SCU, which asks, and the other the SCP, which performs; without
// negotiation the requestor is the SCU (PS3.7 §D.3.3.4). N-EVENT-REPORT goes the other way. For
// C-GET the requestor proposes to be the SCP of the objects' SOP classes, too, because the acceptor
// sends them as C-STORE sub-operations before it answers:
//
//	requestor                         acceptor
//	    ├── C-GET-RQ ────────────────────▶│
//	    │◀────────────────── C-STORE-RQ ──┤  an object
//	    ├── C-STORE-RSP ─────────────────▶│
//	    │◀─────────── C-GET-RSP pending ──┤  1 completed, 1 remaining
//	    │◀────────────────── C-STORE-RQ ──┤  another
//	    ├── C-STORE-RSP ─────────────────▶│
//	    │◀─────────── C-GET-RSP success ──┤
//
// # What is tolerated
//
// Parsers are strict where two readers could read bytes differently, and lenient where the
// standard tells receivers to be, or where the field has shown that it must be: reserved bytes
// and the upper bits of the message control header are not tested; UIDs may be padded with NULs
// and spaces, AE titles and version names likewise; an implementation version name may have more
// than 16 bytes; the maximum length sub-item may be absent. All of it is forwarded as received.
//
// Of a data set the [Scanner] wants ascending tags at the top level, items that fit into what they
// stand in, and VRs of the standard; another VR than the dictionary gives an element is a fact.
// Values of odd length, text padded with NULs and elements in any order inside of items occur.
package dicom
