package policy

type sources struct{}
