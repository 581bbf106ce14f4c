package pipeline

import (
	"github.com/bluetick/bluetick/ingest/provider"
	"github.com/bluetick/bluetick/ingest/provider/meta"
)

// providers is the list of providers of this build. A new one is one line here.
func providers() provider.Registry { return provider.NewRegistry(meta.New()) }
