// Package highavailability has the configuration files of docs/high-availability.md. The tests run
// Patroni, etcd and HAProxy with them.
package highavailability

import "embed"

// Files are etcd.yml, patroni.yml and haproxy.cfg.
//
//go:embed etcd.yml patroni.yml haproxy.cfg
var Files embed.FS
