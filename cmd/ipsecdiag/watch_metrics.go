package main

import (
	"ipsecdiag/cmd/ipsecdiag/metrics"
)

// serveMetrics serves metrics where --metrics says, once the process is locked in
// and until what it returns is called.
func (w *watcher) serveMetrics() (end func(), err error) {
	if w.metricsAt == "" {
		return func() {}, nil
	}
	address, err := metrics.Address(w.metricsAt)
	if err != nil {
		return nil, err
	}
	w.metrics = metrics.New(w.engine, &w.mu)
	server, err := metrics.Serve(address, w.metrics, buildVersion(), w.opened)
	if err != nil {
		return nil, err
	}
	w.io.say("metrics at http://" + server.Addr() + "/metrics")
	return func() {
		if err := server.Close(); err != nil {
			w.io.say(oneLine(err))
		}
	}, nil
}
