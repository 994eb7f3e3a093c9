// Judges objects by the kstatus library, which Flux and Helm use: one object per line of standard input, as JSON, and one line of JSON
// about it on standard output. It ends with its input.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

type verdict struct {
	Status  status.Status `json:"status"`
	Message string        `json:"message"`
}

func main() {
	if err := answer(bufio.NewReader(os.Stdin), json.NewEncoder(os.Stdout)); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func answer(questions *bufio.Reader, answers *json.Encoder) error {
	for {
		line, err := questions.ReadBytes('\n')
		if err == io.EOF && len(line) == 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading a line: %w", err)
		}
		found, err := judge(bytes.TrimSpace(line))
		if err != nil {
			return err
		}
		if err := answers.Encode(found); err != nil {
			return err
		}
	}
}

// The library judges objects that are there and have the form of one. Its own poller says NotFound where there is none, which null stands
// for here, and Unknown where the library fails.
func judge(line []byte) (verdict, error) {
	var object map[string]any
	if err := json.Unmarshal(line, &object); err != nil {
		return verdict{}, fmt.Errorf("not an object in JSON: %w", err)
	}
	if object == nil {
		return verdict{status.NotFoundStatus, "Resource not found"}, nil
	}
	// Numbers become integers, as the library expects them.
	var decoded unstructured.Unstructured
	if err := decoded.UnmarshalJSON(line); err != nil {
		return verdict{}, fmt.Errorf("not a Kubernetes object: %w", err)
	}
	result, err := status.Compute(&decoded)
	if err != nil {
		return verdict{status.UnknownStatus, err.Error()}, nil
	}
	return verdict{result.Status, result.Message}, nil
}
