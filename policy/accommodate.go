package policy

import (
	"cordon/protocols"
	"cordon/protocols/dicom"
	"cordon/protocols/reason"
)

// accommodate keeps from the device what its software is known not to bear, where it is the device
// that is called. It happens in every mode: without it the device would fail.
func (f *Flow) accommodate(a *dicom.Association, v *protocols.Verdict) {
	if !f.FromServer || !a.HasAsync || a.AsyncInvoked != 0 || a.AsyncPerformed != 0 {
		return
	}
	for i := range f.Device.Quirks {
		q := &f.Device.Quirks[i]
		if !q.OmitAsync {
			continue
		}
		a.OmitAsync, v.Action = true, protocols.Rewrite
		if v.Would == protocols.Allow {
			v.Found.Set("asynchronous operations window 0/0")
			v.Would, v.Reason, v.Rule = protocols.Rewrite, reason.PolicyRewrite, q.Known
		}
		return
	}
}
