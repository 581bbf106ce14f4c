package provider

import (
	"errors"
	"fmt"
	"strings"
)

// Registry is the list of the providers a build has, immutable after
// NewRegistry. The zero Registry knows none.
type Registry struct{ all []Provider }

// NewRegistry makes the list. Two providers with the same name are a mistake in
// the program, since only the first could be found: it panics.
func NewRegistry(all ...Provider) Registry {
	var r Registry
	for _, p := range all {
		if r.Find(p.Name()) != nil {
			panic(fmt.Sprintf("BUG: two providers are named %q", p.Name()))
		}
		r.all = append(r.all, p)
	}
	return r
}

// Find returns the provider of that name, or nil.
func (r Registry) Find(name string) Provider {
	for _, p := range r.all {
		if p.Name() == name {
			return p
		}
	}
	return nil
}

// Names lists the providers for a message to the operator.
func (r Registry) Names() string {
	names := make([]string, len(r.all))
	for i, p := range r.all {
		names[i] = p.Name()
	}
	return strings.Join(names, ", ")
}

// CheckSecrets is for providers that sign with whatever secrets the source has:
// at least one, and none of them empty. what says where the operator finds it,
// such as "for Meta it is the app secret".
func (s *Settings) CheckSecrets(what string) error {
	var errs []error
	if len(s.Secrets) == 0 {
		errs = append(errs, fmt.Errorf("secrets: none given; %s", what))
	}
	for _, secret := range s.Secrets {
		if secret == "" {
			errs = append(errs, errors.New("secrets: one is empty"))
		}
	}
	return errors.Join(errs...)
}
