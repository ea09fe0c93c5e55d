package device_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sync"
	"time"

	"github.com/weir-iot/weir/device"
	"github.com/weir-iot/weir/hub"
	"github.com/weir-iot/weir/telemetry"
)

// example runs against a hub in memory. In a real device the connection string
// comes from the portal, or from weir device create, and the zero Options do:
//
//	client, err := device.Connect(ctx, os.Getenv("DEVICE_CONNECTION_STRING"), device.Options{})
func example(use func(ctx context.Context, connectionString string, o device.Options, h *hub.Hub)) {
	dir, err := os.MkdirTemp("", "weir-example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	h, err := startHub(dir)
	if err != nil {
		log.Fatal(err)
	}
	defer h.stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	d, err := h.hub.PutDevice(ctx, &hub.Device{DeviceID: "pump-1", Status: hub.StatusEnabled}, "")
	if err != nil {
		log.Fatal(err)
	}
	use(ctx, d.ConnectionString("localhost"), device.Options{RootCAs: h.roots, Dial: h.dial}, h.hub)
}

func ExampleConnect() {
	example(func(ctx context.Context, connectionString string, o device.Options, _ *hub.Hub) {
		client, err := device.Connect(ctx, connectionString, o)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("connected as", client.ID())
		if err := client.Close(ctx); err != nil {
			log.Fatal(err)
		}
	})
	// Output: connected as pump-1
}

// New does not wait: a device that starts before its network can send at once.
func ExampleNew() {
	example(func(ctx context.Context, connectionString string, o device.Options, _ *hub.Hub) {
		client, err := device.New(connectionString, o)
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close(ctx)
		if err := client.Send(ctx, device.Message{Body: []byte(`{"temperature":21.5}`)}); err != nil {
			log.Fatal(err)
		}
		fmt.Println("acknowledged")
	})
	// Output: acknowledged
}

func ExampleClient_Send() {
	example(func(ctx context.Context, connectionString string, o device.Options, _ *hub.Hub) {
		client, err := device.Connect(ctx, connectionString, o)
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close(ctx)
		err = client.Send(ctx, device.Message{
			ID:          "2026-01-01T00:00:00Z/1", // the hub's store keeps one message of an id
			ContentType: "application/json",
			Encoding:    "utf-8",
			Properties:  telemetry.Properties{{Key: "alarm", Value: "true"}},
			Body:        []byte(`{"temperature":35.2}`),
		})
		fmt.Println("acknowledged:", err == nil)
	})
	// Output: acknowledged: true
}

// SendAsync keeps a window of messages in flight; it waits only while that is
// full.
func ExampleClient_SendAsync() {
	example(func(ctx context.Context, connectionString string, o device.Options, _ *hub.Hub) {
		o.Window = 64
		client, err := device.Connect(ctx, connectionString, o)
		if err != nil {
			log.Fatal(err)
		}
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Add(1)
			client.SendAsync(ctx, device.Message{Body: fmt.Appendf(nil, `{"n":%d}`, i)}, func(err error) {
				if err != nil {
					log.Print(err)
				}
				wg.Done()
			})
		}
		wg.Wait()
		fmt.Println(client.Stats().Acked, "acknowledged")
		client.Close(ctx)
	})
	// Output: 1000 acknowledged
}

func ExampleClient_SendBatch() {
	example(func(ctx context.Context, connectionString string, o device.Options, _ *hub.Hub) {
		client, err := device.Connect(ctx, connectionString, o)
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close(ctx)
		err = client.SendBatch(ctx, []device.Message{
			{Body: []byte(`{"temperature":21.5}`)},
			{Body: []byte(`{"temperature":21.6}`)},
		})
		fmt.Println("all acknowledged:", err == nil)
	})
	// Output: all acknowledged: true
}

func ExampleClient_Twin() {
	example(func(ctx context.Context, connectionString string, o device.Options, _ *hub.Hub) {
		client, err := device.Connect(ctx, connectionString, o)
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close(ctx)
		twin, err := client.Twin(ctx)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\n", twin.Desired)
	})
	// Output: {"$version":1}
}

func ExampleClient_Report() {
	example(func(ctx context.Context, connectionString string, o device.Options, _ *hub.Hub) {
		client, err := device.Connect(ctx, connectionString, o)
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close(ctx)
		version, err := client.Report(ctx, map[string]any{"firmwareVersion": "1.2.0", "oldProperty": nil})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("reported properties are at version", version)
	})
	// Output: reported properties are at version 2
}

func ExampleClient_OnDesired() {
	example(func(ctx context.Context, connectionString string, o device.Options, service *hub.Hub) {
		client, err := device.Connect(ctx, connectionString, o)
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close(ctx)
		applied := make(chan struct{})
		client.OnDesired(func(ctx context.Context, d device.Desired) {
			var want struct {
				Interval *int `json:"interval"`
			}
			if err := json.Unmarshal(d.Properties, &want); err != nil || want.Interval == nil {
				return
			}
			fmt.Println("interval is now", *want.Interval)
			if _, err := client.Report(ctx, want); err != nil {
				log.Print(err)
			}
			close(applied)
		})
		if err := client.Ready(ctx); err != nil { // subscribed
			log.Fatal(err)
		}
		_, err = service.PatchTwin(ctx, hub.ID{Device: "pump-1"}, []byte(`{"properties":{"desired":{"interval":5}}}`), "")
		if err != nil {
			log.Fatal(err)
		}
		<-applied
	})
	// Output: interval is now 5
}

func ExampleClient_OnMethod() {
	example(func(ctx context.Context, connectionString string, o device.Options, service *hub.Hub) {
		client, err := device.Connect(ctx, connectionString, o)
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close(ctx)
		client.OnMethod("reboot", func(_ context.Context, payload json.RawMessage) (int, any) {
			return 200, map[string]string{"result": "rebooting"}
		})
		if err := client.Ready(ctx); err != nil { // subscribed
			log.Fatal(err)
		}
		answer, err := service.Invoke(ctx, hub.ID{Device: "pump-1"}, hub.MethodRequest{Name: "reboot"})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d %s\n", answer.Status, answer.Payload)
	})
	// Output: 200 {"result":"rebooting"}
}

func ExampleClient_OnMessage() {
	example(func(ctx context.Context, connectionString string, o device.Options, service *hub.Hub) {
		client, err := device.Connect(ctx, connectionString, o)
		if err != nil {
			log.Fatal(err)
		}
		defer client.Close(ctx)
		handled := make(chan struct{})
		client.OnMessage(func(_ context.Context, m device.CloudMessage) error {
			fmt.Printf("received %s\n", m.Body)
			close(handled)
			return nil // the hub forgets the message; an error keeps it
		})
		if err := service.SendToDevice(ctx, hub.ID{Device: "pump-1"}, &hub.CloudMessage{Body: []byte("stop")}); err != nil {
			log.Fatal(err)
		}
		<-handled
	})
	// Output: received stop
}

func ExampleClient_Close() {
	example(func(ctx context.Context, connectionString string, o device.Options, _ *hub.Hub) {
		client, err := device.Connect(ctx, connectionString, o)
		if err != nil {
			log.Fatal(err)
		}
		client.SendAsync(ctx, device.Message{Body: []byte(`{}`)}, func(err error) { fmt.Println("acknowledged:", err == nil) })
		if err := client.Close(ctx); err != nil { // waits for what is in flight
			log.Fatal(err)
		}
	})
	// Output: acknowledged: true
}
