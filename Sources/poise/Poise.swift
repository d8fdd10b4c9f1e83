@main struct Poise { static func main() { print("poise") } }
