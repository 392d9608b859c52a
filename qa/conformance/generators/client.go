// Logs in, finds a customer, and creates and confirms an order, with generated clients.
package main

import (
	"context"
	"customers"
	"fmt"
	"orchestrator"
	"orders"
	"os"
)

// ok returns the value, or stops with the error.
func ok[T any, R any](value T, _ R, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func main() {
	run := os.Args[1]
	config := customers.NewConfiguration()
	config.Servers[0].URL = os.Getenv("CUSTOMERS_BASE")
	customersAPI := customers.NewAPIClient(config)
	login := customers.NewCredentials(os.Getenv("ADMIN_PASSWORD"), os.Getenv("ADMIN_USER"))
	token := ok(customersAPI.AuthAPI.TokenCreate(context.Background()).Credentials(*login).Execute())
	as := context.WithValue(context.Background(), customers.ContextAccessToken, token.AccessToken)
	customer := ok(customersAPI.CustomersAPI.CustomerList(as).Search("acme").Execute()).Data[0]

	ordersConfig := orders.NewConfiguration()
	ordersConfig.Servers[0].URL = os.Getenv("ORDERS_BASE")
	as = context.WithValue(context.Background(), orders.ContextAccessToken, token.AccessToken)
	api := orders.NewAPIClient(ordersConfig).OrdersAPI
	input := orders.NewOrderInput(customer.Id, []orders.OrderItemInput{*orders.NewOrderItemInput(2, 3)})
	order := ok(api.OrderCreate(as).OrderInput(*input).XIdempotencyKey(run).Execute())
	if again := ok(api.OrderCreate(as).OrderInput(*input).XIdempotencyKey(run).Execute()); again.Id != order.Id {
		panic("a second order was created")
	}
	if ok(api.OrderConfirm(as, order.Id).XIdempotencyKey(run).Execute()).Status != orders.CONFIRMED {
		panic("the order is not confirmed")
	}

	sagaConfig := orchestrator.NewConfiguration()
	sagaConfig.Servers[0].URL = os.Getenv("ORCHESTRATOR_BASE")
	as = context.WithValue(context.Background(), orchestrator.ContextAccessToken, token.AccessToken)
	request := orchestrator.NewCreateAndConfirm(customer.Id, run, []orchestrator.Item{*orchestrator.NewItem(2, 3)})
	saga := orchestrator.NewAPIClient(sagaConfig).OrchestratorAPI.OrderCreateAndConfirm(as).CreateAndConfirm(*request)
	if ok(saga.Execute()).Data.Order.Status != orchestrator.CONFIRMED {
		panic("the second order is not confirmed")
	}
	fmt.Println("order", order.Id, "confirmed")
}
