// Package highavailability has the configuration files and the unit of docs/high-availability.md.
// The tests run Patroni, etcd and HAProxy with them.
package highavailability

import "embed"

// Files are etcd.yml, patroni.yml, haproxy.cfg and patroni.service.
//
//go:embed etcd.yml patroni.yml haproxy.cfg patroni.service
var Files embed.FS
