package policy

import "cordon/policy/file"

// FileProblem is what was found in a file that a policy names: a certificate, a key.
type FileProblem struct {
	Path          string // as the policy has it, absolute
	Severity      file.Severity
	Code          string
	Message, Hint string
}

// Locate makes diagnostics of what was found in files, each at the place that names the file; where
// none does, of cordon.yaml.
func (p *Policy) Locate(found []FileProblem) Diagnostics {
	problems := new(file.Problems)
	for _, f := range found {
		at, named := p.refs[f.Path]
		if !named {
			at = file.Pos{File: p.origins.cordonFile}
		}
		say := problems.Errorf
		if f.Severity == file.Note {
			say = problems.Notef
		}
		say(at, f.Code, f.Hint, "%s", f.Message)
	}
	return problems.Diagnostics()
}
