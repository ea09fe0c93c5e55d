package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/weir-iot/weir/config"
	"github.com/weir-iot/weir/stream"
	"github.com/weir-iot/weir/stream/udf"
)

// Functions are the JavaScript functions of a solution, until Close.
type Functions struct{ runner *udf.Runner }

// LoadFunctions starts the process of the functions in the given files, each of
// which is called as its file is. It lives until ctx ends or Close.
func LoadFunctions(ctx context.Context, files []string) (*Functions, error) {
	scripts := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("node: reading a function: %w", err)
		}
		scripts[strings.TrimSuffix(filepath.Base(file), ".js")] = string(text)
	}
	if len(scripts) == 0 {
		return &Functions{}, nil
	}
	r, err := udf.Start(ctx, udf.Options{Functions: scripts})
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	return &Functions{r}, nil
}

// FunctionFiles are the functions in a folder; none where there is no folder.
func FunctionFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("node: looking for functions: %w", err)
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && strings.HasSuffix(e.Name(), ".js") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files, nil
}

// loadFunctions starts those of a configuration.
func loadFunctions(ctx context.Context, c *config.Config) (*Functions, error) {
	dir := c.Functions
	if dir == "" {
		dir = filepath.Join(c.Data, "functions")
	}
	files, err := FunctionFiles(dir)
	if err != nil {
		return nil, err
	}
	return LoadFunctions(ctx, files)
}

// For returns what queries are compiled against, nil where there are no functions.
func (f *Functions) For() stream.Functions {
	if f.runner == nil {
		return nil
	}
	return f.runner
}

// Close ends the process.
func (f *Functions) Close() error {
	if f.runner == nil {
		return nil
	}
	return f.runner.Close()
}
