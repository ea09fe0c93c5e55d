// Package solution holds the queries that weir dev starts with, for users to
// read and change: hot, anomaly and threshold. It promises never to write over a
// file. It leaves out what their inputs and outputs are: the configuration's
// defaults say it.
package solution

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed jobs/*.asaql
var files embed.FS

// Hot is the query that brings every message to the hot store.
//
//go:embed jobs/hot.asaql
var Hot string

// names are the jobs, in the order in which they are worth reading.
var names = []string{"hot", "anomaly", "threshold"}

// Write makes jobs/NAME.asaql in the folder dir for each job that has no file
// there yet. It returns the paths of all, by the job's name.
func Write(dir string) (map[string]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil { // the data folder, at its first start
		return nil, fmt.Errorf("writing the jobs: %w", err)
	}
	dir = filepath.Join(dir, "jobs")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("writing the jobs: %w", err)
	}
	paths := map[string]string{}
	for _, name := range names {
		paths[name] = filepath.Join(dir, name+".asaql")
		text, err := files.ReadFile("jobs/" + name + ".asaql")
		if err != nil {
			return nil, fmt.Errorf("writing the jobs: %w", err)
		}
		if err := create(paths[name], text); err != nil {
			return nil, fmt.Errorf("writing the jobs: %w", err)
		}
	}
	return paths, nil
}

// create writes a file that is not there yet, whole or not at all.
func create(path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
