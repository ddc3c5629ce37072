package policy

import (
	"cordon/policy/file"
	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/dicom/dict"
)

func (c *compiler) allowEcho(f *flowFile, _ *file.Verb, rule string) bool {
	f.dicom.allow("1.2.840.10008.1.1", operation{field: dicom.CEchoRQ, rule: rule})
	return true
}

// allowStore lets whoever requested the association store objects.
func (c *compiler) allowStore(f *flowFile, v *file.Verb, rule string) bool {
	op := operation{field: dicom.CStoreRQ, rule: rule}
	if v.All {
		f.dicom.allowStorage(op)
		return true
	}
	return c.storage(f, v.Names, op)
}

// allowReturns lets the acceptor of a C-GET send the objects that the requestor asked for, on the
// same association (PS3.4 §C.4.3).
func (c *compiler) allowReturns(f *flowFile, v *file.Verb, rule string) bool {
	op := operation{field: dicom.CStoreRQ, from: protocols.Far, within: dicom.CGetRQ, rule: rule}
	if !v.Returns.Set() {
		f.dicom.allowStorage(op)
		return true
	}
	return c.storage(f, v.Returns, op)
}

// storage allows an operation on storage SOP classes.
func (c *compiler) storage(f *flowFile, names file.Texts, op operation) bool {
	ok := true
	for _, name := range names.Values {
		if uid, known := c.storageClass(name); known {
			f.dicom.allow(uid, op)
		} else {
			ok = false
		}
	}
	return ok
}

// storageClass finds a SOP class whose instances are stored. Private ones are known by their UID.
func (c *compiler) storageClass(name file.Text) (uid string, ok bool) {
	uid, ok = c.uid(name, "SOP class")
	if ok && dict.Name(uid) != "" && !dict.IsStorage(uid) {
		c.Errorf(name.At, file.BadValue, "name a SOP class whose instances are stored", "%q is not a storage SOP class", name.Value)
		return "", false
	}
	return uid, ok
}
