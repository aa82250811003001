package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"os"
	"path"
	"slices"
	"time"
)

// member is a file of an archive.
type member struct {
	name string
	mode int64
	text []byte
}

// writeArchive writes a tar archive, compressed by gzip, whose members lie in one folder. Its bytes
// depend on nothing but the parameters: members are sorted, belong to user and group 0, and have
// one time; the gzip header has no name, no time and no operating system.
func writeArchive(file, folder string, at time.Time, members []member) error {
	members = slices.Clone(members)
	slices.SortFunc(members, func(a, b member) int { return cmp.Compare(a.name, b.name) })
	var packed bytes.Buffer
	zipped, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	zipped.OS = 255 // unknown
	archive := tar.NewWriter(zipped)
	for _, m := range members {
		err := archive.WriteHeader(&tar.Header{
			Typeflag: tar.TypeReg,
			Name:     path.Join(folder, m.name),
			Mode:     m.mode,
			Size:     int64(len(m.text)),
			ModTime:  at,
			Format:   tar.FormatUSTAR,
		})
		if err != nil {
			return err
		}
		if _, err := archive.Write(m.text); err != nil {
			return err
		}
	}
	if err := archive.Close(); err != nil {
		return err
	}
	if err := zipped.Close(); err != nil {
		return err
	}
	return os.WriteFile(file, packed.Bytes(), 0o644) //nolint:gosec // archives are public
}
